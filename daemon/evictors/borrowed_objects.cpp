#include "daemon/evictors/borrowed_objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/unique_fd.h"

namespace buildwarden::disk {
namespace {

constexpr int kDeepest = 8;

// `true`: there is one.
Result<bool> has_head(int git, const std::string& name) {
  if (::faccessat(git, "HEAD", F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT) return false;
  return Error(Errc::kConflict, Error::from_errno(errno, format("look for a HEAD of {}", name)).message());
}

// A link that is opened as a folder is none, as any file.
bool is_link(int folder, const std::string& name) {
  struct stat what{};
  return ::fstatat(folder, name.c_str(), &what, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(what.st_mode);
}

}  // namespace

Error BorrowLook::not_opened(const std::string& name, int error) const {
  const auto doing = format("nobody knows what {} borrows: open {}", name_, name);
  return {Errc::kConflict, Error::from_errno(error, doing).message()};
}

Result<UniqueFd> BorrowLook::open_part(int folder, const std::string& name, int flags) const {
  auto opened = open_beneath(folder, name.c_str(), flags);
  const int error = errno;
  if (opened.open() || error == ENOENT) return opened;
  return not_opened(name, error);
}

Result<UniqueFd> BorrowLook::open_git(const policy::Checkout& checkout) const {
  UniqueFd at;
  for (const auto* part : {&checkout.agent, &checkout.org, &checkout.pipeline}) {
    auto below = open_part(at.open() ? at.get() : home_, *part, O_RDONLY | O_DIRECTORY);
    if (!below || !below->open()) return below;
    at = *std::move(below);
  }
  return open_part(at.get(), ".git", O_RDONLY | O_DIRECTORY);
}

Result<void> BorrowLook::count_folders(std::size_t more) {
  if (stop_.stop_requested()) return Error(Errc::kCancelled, "the look at what checkouts borrow was stopped");
  if (more > left_.folders) {
    return Error(Errc::kTooLarge, format("the checkouts have more folders than are looked at, the last in {}", name_));
  }
  left_.folders -= more;
  return {};
}

Result<std::string> BorrowLook::read_text(int file) {
  std::string text;
  std::array<char, 4096> part{};
  for (;;) {
    const auto got = ::read(file, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error(Errc::kConflict, Error::from_errno(errno, format("read what {} borrows", name_)).message());
    }
    if (got == 0) return text;
    const auto size = static_cast<Bytes>(got);
    if (size > left_.text) {
      return Error(Errc::kTooLarge, format("what checkouts borrow is too long a text, the last {}", name_));
    }
    left_.text -= size;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
}

Result<void> BorrowLook::read_file(int file) {
  struct stat what{};
  if (::fstat(file, &what) != 0 || !S_ISREG(what.st_mode)) {
    return Error(Errc::kConflict, format("what {} borrows stands in no file", name_));
  }
  auto text = read_text(file);
  if (!text) return std::move(text).error();
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    if (left_.lines == 0) {
      return Error(Errc::kTooLarge, format("checkouts borrow from too many places, the last {}", name_));
    }
    --left_.lines;
    borrowed_.push_back({name_, line});
  }
  return {};
}

Result<void> BorrowLook::read_repository(int git) {
  if (auto counted = count_folders(1); !counted) return counted;
  const auto objects = open_part(git, "objects", O_RDONLY | O_DIRECTORY);
  if (!objects) return objects.error();
  if (!objects->open()) return {};
  const auto info = open_part(objects->get(), "info", O_RDONLY | O_DIRECTORY);
  if (!info) return info.error();
  if (!info->open()) return {};
  const auto file = open_part(info->get(), "alternates", O_RDONLY | O_NONBLOCK);
  if (!file) return file.error();
  return file->open() ? read_file(file->get()) : Result<void>{};
}

Result<void> BorrowLook::read_modules(int git, int depth) {
  const auto modules = open_part(git, "modules", O_RDONLY | O_DIRECTORY);
  if (!modules) return modules.error();
  return modules->open() ? read_submodules(modules->get(), depth) : Result<void>{};
}

// Submodules may lie in one another, and in folders of their names.
Result<void> BorrowLook::read_submodules(int folder, int depth) {
  if (depth > kDeepest) return Error(Errc::kTooLarge, format("the submodules of {} lie too deep", name_));
  const auto entries = entries_of(folder, name_, left_.folders);
  if (!entries) return entries.error();
  if (auto counted = count_folders(entries->size()); !counted) return counted;
  for (const auto& entry : *entries) {
    if (entry.type == DT_REG) continue;
    const auto below = open_beneath(folder, entry.name.c_str(), O_RDONLY | O_DIRECTORY);
    const int error = errno;
    if (!below.open() && (error == ENOENT || (error == ENOTDIR && !is_link(folder, entry.name)))) continue;
    if (!below.open()) return not_opened(entry.name, error);
    if (auto read = read_submodule(below.get(), depth); !read) return read;
  }
  return {};
}

Result<void> BorrowLook::read_submodule(int git, int depth) {
  const auto is_repository = has_head(git, name_);
  if (!is_repository) return is_repository.error();
  if (!*is_repository) return read_submodules(git, depth + 1);
  if (auto read = read_repository(git); !read) return read;
  return read_modules(git, depth + 1);
}

Result<bool> BorrowLook::add(const policy::Checkout& checkout) {
  name_ = format("checkout {}/{}/{}", checkout.agent, checkout.org, checkout.pipeline);
  if (auto counted = count_folders(1); !counted) return std::move(counted).error();
  const auto git = open_git(checkout);
  if (!git) return git.error();
  if (!git->open()) return false;
  auto is_cloned = has_head(git->get(), name_);
  if (!is_cloned) return is_cloned;
  if (auto read = read_repository(git->get()); !read) return std::move(read).error();
  if (auto read = read_modules(git->get(), 1); !read) return std::move(read).error();
  return is_cloned;
}

}  // namespace buildwarden::disk
