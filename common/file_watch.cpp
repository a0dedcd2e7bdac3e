#include "common/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace buildwarden {
namespace asio = boost::asio;

namespace {

constexpr int kMostRounds = 10;  // of a burst without an end
constexpr std::size_t kNoticeRoom = 4096;

}  // namespace

FileWatch::FileWatch(const asio::any_io_executor& executor, WorkerPool& workers, FileWatchTimes times)
    : workers_(workers),
      times_(times),
      inotify_(std::make_shared<UniqueFd>(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))),
      notices_(executor),
      timer_(executor) {
  if (inotify_->get() < 0) {
    problem_ = Error::from_errno(errno, "open inotify").message();
    return;
  }
  boost::system::error_code failed;
  notices_.assign(::dup(inotify_->get()), failed);
  if (failed) problem_ = "watch inotify: " + failed.message();
}

FileWatch::~FileWatch() = default;

void FileWatch::watch(std::vector<std::string> files) {
  if (files == files_) return;
  files_ = std::move(files);
  told_ = true;
  note();
}

void FileWatch::look_again() {
  asked_ = true;
  note();
}

void FileWatch::stop() {
  stopped_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  notices_.close(ignored);
}

void FileWatch::note() {
  dirty_ = true;
  if (idle_) timer_.cancel();
}

asio::awaitable<void> FileWatch::sleep(Duration time) {
  auto token = asio::as_tuple(asio::use_awaitable);
  timer_.expires_after(time);
  co_await timer_.async_wait(token);
}

asio::awaitable<bool> FileWatch::next() {
  const auto executor = co_await asio::this_coro::executor;
  if (!std::exchange(reading_, true) && notices_.is_open()) {
    asio::co_spawn(executor, read_notices(), asio::detached);
  }
  while (!stopped_) {
    idle_ = true;
    if (!dirty_) co_await sleep(times_.backstop);
    idle_ = false;
    for (int round = 0; dirty_ && !stopped_ && round < kMostRounds; ++round) {
      dirty_ = false;
      co_await sleep(times_.quiet);
    }
    if (stopped_) break;
    const bool asked = std::exchange(asked_, false);
    const bool told = std::exchange(told_, false);
    const bool changed = co_await look(told);
    if (changed || asked) co_return changed && !stopped_;
  }
  co_return false;
}

// A notice between a folder's being watched and its files' being looked at leads to one look too many, never to one too
// few. Untold, when the backstop or somebody makes it look: with the same folders under the same names the watches are
// right, and are left alone. Raising and lowering their masks takes the kernel a walk through all that it knows in
// these folders, which is milliseconds in a /tmp.
asio::awaitable<bool> FileWatch::look(bool told) {
  if (looking_->exchange(true)) co_return false;  // the last one hangs still
  auto before = told || !problem_.empty() ? std::nullopt : std::optional(seen_);
  std::function<Result<Survey>()> work = [inotify = inotify_, files = files_, looking = looking_,
                                          before = std::move(before)]() -> Result<Survey> {
    auto seen = before && look_of(files) == before->look ? *before : survey(inotify->get(), files);
    looking->store(false);
    return seen;
  };
  auto seen = co_await workers_.compute<Survey>(std::move(work), times_.look_patience);
  if (!seen) {
    problem_ = std::move(seen).error().with_context("look at the watched files").message();
    co_return false;
  }
  forget_watches(*seen);
  const bool changed = seen->look.stamps != seen_.look.stamps;
  if (inotify_->get() >= 0) problem_ = seen->problem;
  seen_ = *std::move(seen);
  co_return changed;
}

void FileWatch::forget_watches(const Survey& seen) {
  for (const auto& [watch, names] : seen_.names) {
    if (!seen.names.contains(watch)) ::inotify_rm_watch(inotify_->get(), watch);
  }
}

asio::awaitable<void> FileWatch::read_notices() {
  alignas(inotify_event) std::array<char, kNoticeRoom> room{};
  auto token = asio::as_tuple(asio::use_awaitable);
  while (!stopped_) {
    const auto [failed, size] = co_await notices_.async_read_some(asio::buffer(room), token);
    if (failed) co_return;
    if (!concerns_us(room.data(), size)) continue;
    told_ = true;
    note();
  }
}

// A notice without a name is about the watched folder itself, or says that notices were lost.
bool FileWatch::concerns_us(const char* notices, std::size_t size) const {
  for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
    inotify_event notice{};
    std::memcpy(&notice, notices + at, sizeof(notice));
    const char* name = notices + at + sizeof(notice);
    at += sizeof(notice) + notice.len;
    if ((notice.mask & IN_Q_OVERFLOW) != 0) return true;
    const auto watched = seen_.names.find(notice.wd);
    if (watched == seen_.names.end()) continue;
    if (notice.len == 0 || watched->second.contains(name)) return true;
  }
  return false;
}

}  // namespace buildwarden
