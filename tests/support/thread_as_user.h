// What this thread connects and opens meanwhile is another user's. Needs root.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdlib>

namespace buildwarden::testing {

// By the system calls themselves: libc's change every thread. The kernel remembers for a unix socket who connected
// (SO_PEERCRED), so what was connected stays that user's afterwards.
class ThreadAsUser {
 public:
  ThreadAsUser(uid_t uid, gid_t gid) {
    if (::syscall(SYS_setresgid, -1, gid, -1) != 0 || ::syscall(SYS_setresuid, -1, uid, -1) != 0) std::abort();
  }
  ~ThreadAsUser() {
    if (::syscall(SYS_setresuid, -1, 0, -1) != 0 || ::syscall(SYS_setresgid, -1, 0, -1) != 0) std::abort();
  }
  ThreadAsUser(const ThreadAsUser&) = delete;
  ThreadAsUser& operator=(const ThreadAsUser&) = delete;
};

}  // namespace buildwarden::testing
