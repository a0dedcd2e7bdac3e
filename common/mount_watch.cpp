#include "common/mount_watch.h"

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "common/result.h"

namespace buildwarden {
namespace asio = boost::asio;

MountWatch::MountWatch(const asio::any_io_executor& executor, std::function<void()> changed, const std::string& file)
    : changed_(std::move(changed)), mountinfo_(executor) {
  const int opened = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (opened < 0) {
    problem_ = Error::from_errno(errno, "open " + file).message();
    return;
  }
  boost::system::error_code failed;
  mountinfo_.assign(opened, failed);
  if (failed) problem_ = "watch " + file + ": " + failed.message();
}

void MountWatch::stop() {
  stopped_ = true;
  boost::system::error_code ignored;
  mountinfo_.close(ignored);
}

// The kernel tells a change once, to whoever polls next, which is the loop: so a wait is always under way when it does.
asio::awaitable<void> MountWatch::run() {
  constexpr auto kChange = asio::posix::descriptor_base::wait_error;
  auto token = asio::as_tuple(asio::use_awaitable);
  while (!stopped_ && mountinfo_.is_open()) {
    const auto [failed] = co_await mountinfo_.async_wait(kChange, token);
    if (failed) co_return;
    changed_();
  }
}

}  // namespace buildwarden
