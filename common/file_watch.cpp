#include "common/file_watch.h"

#include <sys/inotify.h>
#include <sys/stat.h>
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
#include <utility>

#include "common/format.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

// Written and closed, made, linked, renamed, removed, or its rights changed; and the folder itself gone.
constexpr std::uint32_t kOwnEnd = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t kNotices =
    IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | kOwnEnd;
constexpr int kMostRounds = 10;  // of a burst without an end
constexpr std::size_t kNoticeRoom = 4096;

// All of it that changes with the content, or with who may read it.
std::string stamp_of(const std::string& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return format("absent {}", errno);
  return format("{}:{} {} {}.{} {}.{} {:o}", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec, info.st_mode);
}

bool is_link(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

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
    const bool changed = co_await look();
    if (changed || asked) co_return changed && !stopped_;
  }
  co_return false;
}

// A notice between a folder's being watched and its files' being looked at leads to one look too many, never to one too
// few.
asio::awaitable<bool> FileWatch::look() {
  if (looking_->exchange(true)) co_return false;  // the last one hangs still
  std::function<Result<Survey>()> work = [inotify = inotify_, files = files_, looking = looking_]() -> Result<Survey> {
    Survey seen;
    for (const auto& file : files) survey_file(inotify->get(), file, seen);
    hush(inotify->get(), seen);
    looking->store(false);
    return seen;
  };
  auto seen = co_await workers_.compute<Survey>(std::move(work), times_.look_patience);
  if (!seen) {
    problem_ = std::move(seen).error().with_context("look at the watched files").message();
    co_return false;
  }
  forget_watches(*seen);
  const bool changed = seen->stamps != seen_.stamps;
  if (inotify_->get() >= 0) problem_ = seen->problem;
  seen_ = *std::move(seen);
  co_return changed;
}

// Each folder on the way to `file` is watched for the next name on it, from the top down, so that none can come or go
// unseen.
void FileWatch::survey_file(int inotify, const std::string& file, Survey& into) {
  int above = -1;
  for (auto slash = file.find('/'); inotify >= 0 && slash != std::string::npos;) {
    const auto next = file.find('/', slash + 1);
    const auto folder = slash == 0 ? std::string("/") : file.substr(0, slash);
    const int watch = ::inotify_add_watch(inotify, folder.c_str(), kNotices);
    if (watch < 0 && errno != ENOENT && errno != ENOTDIR) {
      into.problem = Error::from_errno(errno, "watch " + folder).message();
    }
    if (watch < 0) break;
    if (above >= 0 && is_link(folder)) into.ends.insert(above);  // it can be made to point elsewhere
    above = watch;
    into.folders[watch] = folder;
    into.names[watch].insert(file.substr(slash + 1, next == std::string::npos ? next : next - slash - 1));
    slash = next;
  }
  if (above >= 0) into.ends.insert(above);
  into.stamps.push_back(format("{} {}", file, stamp_of(file)));
}

// Done after all files were looked at, so that what came or went meanwhile was told. The end of a folder that somebody
// has open is told late; then that of the files in it, or the backstop, makes it look.
void FileWatch::hush(int inotify, const Survey& seen) {
  for (const auto& [watch, folder] : seen.folders) {
    if (seen.ends.contains(watch)) continue;
    const int again = ::inotify_add_watch(inotify, folder.c_str(), kOwnEnd);
    const bool another = again >= 0 && !seen.folders.contains(again);  // by now; the end of ours was told
    if (another) ::inotify_rm_watch(inotify, again);
  }
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
    if (concerns_us(room.data(), size)) note();
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
