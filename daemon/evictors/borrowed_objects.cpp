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

constexpr std::size_t kMostText = 64UL * 1024;
constexpr std::size_t kMostSubmodules = 10'000;  // entries of one folder
constexpr int kDeepest = 8;

class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}

  // Of one repository: its objects/info/alternates, if there is one.
  Result<void> read_repository(int git) {
    const auto objects = open_beneath(git, "objects", O_RDONLY | O_DIRECTORY);
    const auto info = open_beneath(objects.get(), "info", O_RDONLY | O_DIRECTORY);
    const auto file = open_beneath(info.get(), "alternates", O_RDONLY | O_NONBLOCK);
    if (!file.open()) {
      const bool is_link = info.open() && errno == ELOOP;
      return is_link ? Result<void>(Error(Errc::kConflict, format("{} borrows objects by a link", name_)))
                     : Result<void>{};
    }
    struct stat what{};
    if (::fstat(file.get(), &what) != 0 || !S_ISREG(what.st_mode)) {
      return Error(Errc::kConflict, format("what {} borrows stands in no file", name_));
    }
    auto text = read_text(file.get());
    if (!text) return std::move(text).error();
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line.front() != '#') borrowed_.push_back({name_, line});
    }
    return {};
  }

  // Submodules may lie in one another, and in folders of their names.
  Result<void> read_submodules(int folder, int depth) {
    if (depth > kDeepest) return Error(Errc::kTooLarge, format("the submodules of {} lie too deep", name_));
    const auto entries = entries_of(folder, name_, kMostSubmodules);
    if (!entries) return entries.error();
    for (const auto& entry : *entries) {
      if (entry.type != DT_DIR && entry.type != DT_UNKNOWN) continue;
      const auto below = open_beneath(folder, entry.name.c_str(), O_RDONLY | O_DIRECTORY);
      if (!below.open()) continue;
      if (auto read = read_below(below.get(), depth); !read) return read;
    }
    return {};
  }

  [[nodiscard]] std::vector<ports::BorrowedObjects> borrowed() && { return std::move(borrowed_); }

 private:
  Result<void> read_below(int folder, int depth) {
    if (::faccessat(folder, "HEAD", F_OK, AT_SYMLINK_NOFOLLOW) != 0) return read_submodules(folder, depth + 1);
    if (auto read = read_repository(folder); !read) return read;
    const auto inner = open_beneath(folder, "modules", O_RDONLY | O_DIRECTORY);
    return inner.open() ? read_submodules(inner.get(), depth + 1) : Result<void>{};
  }

  [[nodiscard]] Result<std::string> read_text(int file) const {
    std::string text;
    std::array<char, 4096> part{};
    for (;;) {
      const auto got = ::read(file, part.data(), part.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::from_errno(errno, format("read what {} borrows", name_));
      if (got == 0) return text;
      text.append(part.data(), static_cast<std::size_t>(got));
      if (text.size() > kMostText) return Error(Errc::kTooLarge, format("{} borrows from too many places", name_));
    }
  }

  std::string name_;
  std::vector<ports::BorrowedObjects> borrowed_;
};

UniqueFd open_git(int home, const FoundCheckout& found) {
  const auto org = open_org(home, found.checkout);
  const auto folder = open_beneath(org.get(), found.checkout.pipeline.c_str(), O_RDONLY | O_DIRECTORY);
  return open_beneath(folder.get(), ".git", O_RDONLY | O_DIRECTORY);
}

}  // namespace

Result<std::vector<ports::BorrowedObjects>> borrowed_objects(int home, const FoundCheckout& found) {
  const auto git = open_git(home, found);
  if (!git.open()) return std::vector<ports::BorrowedObjects>{};
  Reader reader(format("checkout {}/{}/{}", found.checkout.agent, found.checkout.org, found.checkout.pipeline));
  if (auto read = reader.read_repository(git.get()); !read) return std::move(read).error();
  const auto modules = open_beneath(git.get(), "modules", O_RDONLY | O_DIRECTORY);
  if (modules.open()) {
    if (auto read = reader.read_submodules(modules.get(), 1); !read) return std::move(read).error();
  }
  return std::move(reader).borrowed();
}

bool is_cloned(int home, const FoundCheckout& found) {
  const auto git = open_git(home, found);
  return git.open() && ::faccessat(git.get(), "HEAD", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

}  // namespace buildwarden::disk
