// Tells when something was mounted or unmounted that is not a container's own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/time.h"
#include "common/unique_fd.h"

namespace buildwarden {

// By /proc/self/mountinfo, which the kernel makes "exceptional" at each change (proc(5)). It looks at most once in
// `quiet`, and in between the kernel does not wake it. What a container has mounted for itself (is_containers_own())
// does not count. On the loop's thread alone; outlives run(): stop(), then run the loop until it has ended.
class MountWatch {
 public:
  static constexpr Duration kQuiet{1'000};

  // `changed` is called on the loop: at once after a quiet time, else when that is over. `file` is another one only for
  // a test whose thread has its own mounts.
  MountWatch(const boost::asio::any_io_executor& executor, std::function<void()> changed,
             std::string file = "/proc/self/mountinfo", Duration quiet = kQuiet);

  // Ends soon after stop(), at once where the kernel has no such file (then see problem()).
  boost::asio::awaitable<void> run();
  void stop();

  [[nodiscard]] const std::string& problem() const { return problem_; }
  // How often the table was read.
  [[nodiscard]] int looks() const { return looks_; }

 private:
  void look();

  std::function<void()> changed_;
  std::string file_;
  Duration quiet_;
  boost::asio::posix::stream_descriptor mountinfo_;
  boost::asio::steady_timer timer_;
  std::optional<std::uint64_t> known_;  // a hash of the mounts that count; nothing when they could not be read
  int looks_ = 0;
  std::string problem_;
  bool stopped_ = false;
};

}  // namespace buildwarden
