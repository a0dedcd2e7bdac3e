#include "common/mount_watch.h"

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "common/atomic_file.h"
#include "common/fnv1a.h"
#include "common/format.h"
#include "common/mounts.h"
#include "common/result.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

// Nothing: the table cannot be read.
std::optional<std::uint64_t> hash_of_table(const std::string& file) {
  const auto text = read_file(file);
  if (!text) return std::nullopt;
  auto hash = kFnv1aStart;
  for (const auto& mount : parse_mountinfo(*text)) {
    if (is_containers_own(mount)) continue;
    hash =
        fnv1a(format("{} {} {} {} {}\n", mount.id, mount.device, mount.root, mount.mount_point, mount.read_only), hash);
  }
  return hash;
}

}  // namespace

MountWatch::MountWatch(const asio::any_io_executor& executor, std::function<void()> changed, std::string file,
                       Duration quiet)
    : changed_(std::move(changed)), file_(std::move(file)), quiet_(quiet), mountinfo_(executor), timer_(executor) {
  const int opened = ::open(file_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (opened < 0) {
    problem_ = Error::from_errno(errno, "open " + file_).message();
    return;
  }
  boost::system::error_code failed;
  mountinfo_.assign(opened, failed);
  if (failed) problem_ = "watch " + file_ + ": " + failed.message();
  known_ = hash_of_table(file_);
}

void MountWatch::stop() {
  stopped_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  mountinfo_.close(ignored);
}

// The kernel tells a change once, to whoever polls next, which is the loop: so a wait is always under way when it does.
// Out of the loop's epoll a storm of mounts does not wake it. Put back, the descriptor has told epoll_ctl(2) of what
// came meanwhile, and nobody else: so the table is compared then.
asio::awaitable<void> MountWatch::run() {
  constexpr auto kChange = asio::posix::descriptor_base::wait_error;
  auto token = asio::as_tuple(asio::use_awaitable);
  while (!stopped_ && mountinfo_.is_open()) {
    const auto [failed] = co_await mountinfo_.async_wait(kChange, token);
    if (failed || stopped_) co_return;
    for (bool again = true; again; again = hash_of_table(file_) != known_) {
      UniqueFd resting(mountinfo_.release());
      look();
      timer_.expires_after(quiet_);
      co_await timer_.async_wait(token);
      if (stopped_) co_return;
      boost::system::error_code lost;
      mountinfo_.assign(resting.get(), lost);
      if (lost) co_return;
      resting.release();
    }
  }
}

// A mount that was exchanged within `quiet_` for one that reads the same (of the same device, in the same place) is not
// told: what was watched on it is told by inotify, and each sample of a disk names its own mount.
void MountWatch::look() {
  ++looks_;
  const auto seen = hash_of_table(file_);
  const bool same = seen && seen == known_;
  known_ = seen;
  if (!same) changed_();
}

}  // namespace buildwarden
