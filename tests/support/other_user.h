// Something that another user does, for real: in a process of that user's.
#pragma once

#include <grp.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace buildwarden::testing {

inline constexpr uid_t kOtherUser = 2000;

// Runs `act` in a child of this process, as a user without root's rights and without root's groups. Its bool is the
// answer; false too when the user cannot be taken on (then this process is not root's) or the child dies.
template <class Act>
bool as_other_user(Act act, uid_t user = kOtherUser) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr int kFailed = 1;
    const bool taken =
        ::setgroups(0, nullptr) == 0 && ::setresgid(user, user, user) == 0 && ::setresuid(user, user, user) == 0;
    ::_exit(taken && act() ? 0 : kFailed);
  }
  int status = -1;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace buildwarden::testing
