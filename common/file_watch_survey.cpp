// What the file watch sees of the file systems: on a worker.
#include <sys/inotify.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "common/file_watch.h"
#include "common/format.h"

namespace buildwarden {

namespace {

// Written and closed, made, linked, renamed, removed, or its rights changed; and the folder itself gone.
constexpr std::uint32_t kOwnEnd = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t kNotices =
    IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | kOwnEnd;

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

// Which folder has that name.
std::string identity_of(const std::string& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) return format("absent {}", errno);
  return format("{}:{}", info.st_dev, info.st_ino);
}

std::string folder_before(const std::string& file, std::size_t slash) {
  return slash == 0 ? std::string("/") : file.substr(0, slash);
}

}  // namespace

FileWatch::Survey FileWatch::survey(int inotify, const std::vector<std::string>& files) {
  Survey seen;
  for (const auto& file : files) survey_file(inotify, file, seen);
  seen.look = look_of(files);
  hush(inotify, seen);
  return seen;
}

FileWatch::Look FileWatch::look_of(const std::vector<std::string>& files) {
  Look look;
  for (const auto& file : files) {
    for (auto slash = file.find('/'); slash != std::string::npos; slash = file.find('/', slash + 1)) {
      const auto folder = folder_before(file, slash);
      if (!look.folders.contains(folder)) look.folders[folder] = identity_of(folder);
    }
    look.stamps.push_back(format("{} {}", file, stamp_of(file)));
  }
  return look;
}

// Each folder on the way to `file` is watched for the next name on it, from the top down, so that none can come or go
// unseen.
void FileWatch::survey_file(int inotify, const std::string& file, Survey& into) {
  int above = -1;
  for (auto slash = file.find('/'); inotify >= 0 && slash != std::string::npos;) {
    const auto next = file.find('/', slash + 1);
    const auto folder = folder_before(file, slash);
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

}  // namespace buildwarden
