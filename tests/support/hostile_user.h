// A job as it may be at worst: a real process of another user, without capabilities.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <string>

namespace buildwarden::testing {

inline constexpr uid_t kJobUser = 2000;  // the agent's on the Elastic CI Stack

inline bool become(uid_t user) {
  return ::setgroups(0, nullptr) == 0 && ::setresgid(user, user, user) == 0 && ::setresuid(user, user, user) == 0;
}

// Whether `act` was done, and said true, in a process of that user. It may use system calls and nothing that locks.
inline bool as_user(uid_t user, const std::function<bool()>& act) {
  const auto child = ::fork();
  if (child == 0) ::_exit(become(user) && act() ? 0 : 1);
  int status = -1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

// Does `act` over and over, until its end.
class RestlessUser {
 public:
  RestlessUser(uid_t user, const std::function<void()>& act) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    if (!become(user)) ::_exit(1);
    for (;;) act();
  }
  ~RestlessUser() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  RestlessUser(const RestlessUser&) = delete;
  RestlessUser& operator=(const RestlessUser&) = delete;

 private:
  pid_t pid_ = -1;
};

inline bool exchange(const std::string& one, const std::string& other) {
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

// Renames the mount point `from` in `folder`, as its owner can from a mount namespace of their own that does not have
// the mount. false also where the machine gives no such namespace to users.
inline bool rename_mount_point(uid_t user, const std::string& folder, const char* from, const char* to) {
  return as_user(user, [&] {
    const int home = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (home < 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    // Who changed its user may not write to its own maps else (prctl(2), PR_SET_DUMPABLE).
    if (::prctl(PR_SET_DUMPABLE, 1) != 0) return false;
    const auto tell = [](const char* path, const std::string& line) {
      const int file = ::open(path, O_WRONLY | O_CLOEXEC);
      return file >= 0 && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    };
    const auto map = "0 " + std::to_string(user) + " 1";
    if (!tell("/proc/self/setgroups", "deny") || !tell("/proc/self/uid_map", map) || !tell("/proc/self/gid_map", map)) {
      return false;
    }
    if (::mount("none", "/tmp", "tmpfs", 0, nullptr) != 0 || ::mkdir("/tmp/old", 0700) != 0) return false;
    if (::chdir("/tmp") != 0 || ::syscall(SYS_pivot_root, ".", "old") != 0 || ::chdir("/") != 0) return false;
    if (::umount2("/old", MNT_DETACH) != 0) return false;
    return ::renameat(home, from, home, to) == 0;
  });
}

}  // namespace buildwarden::testing
