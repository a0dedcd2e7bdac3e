// What this thread connects and opens meanwhile is another user's. Needs root.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdlib>

namespace buildwarden::testing {

// By the system calls themselves: libc's change every thread. The kernel remembers for a unix socket who connected
// (SO_PEERCRED), so what was connected stays that user's afterwards.
class AsUser {
 public:
  AsUser(uid_t uid, gid_t gid) {
    if (::syscall(SYS_setresgid, -1, gid, -1) != 0 || ::syscall(SYS_setresuid, -1, uid, -1) != 0) std::abort();
  }
  ~AsUser() {
    if (::syscall(SYS_setresuid, -1, 0, -1) != 0 || ::syscall(SYS_setresgid, -1, 0, -1) != 0) std::abort();
  }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
};

}  // namespace buildwarden::testing
