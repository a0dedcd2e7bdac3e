// Tells when something was mounted or unmounted.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string>

namespace buildwarden {

// By /proc/self/mountinfo, which the kernel makes "exceptional" at each change (proc(5)). On the loop's thread alone;
// outlives run(): stop(), then run the loop until it has ended.
class MountWatch {
 public:
  // `changed` is called on the loop, quickly again for each mount of a burst. `file` is another one only for a test
  // whose thread has its own mounts.
  MountWatch(const boost::asio::any_io_executor& executor, std::function<void()> changed,
             const std::string& file = "/proc/self/mountinfo");

  // Ends soon after stop(), at once where the kernel has no such file (then see problem()).
  boost::asio::awaitable<void> run();
  void stop();

  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  std::function<void()> changed_;
  boost::asio::posix::stream_descriptor mountinfo_;
  std::string problem_;
  bool stopped_ = false;
};

}  // namespace buildwarden
