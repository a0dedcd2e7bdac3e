#include "daemon/stray_signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace buildwarden {
namespace {

// How a child ends that gets this signal after `prepare`; 0: it goes on.
int end_of(int number, void (*prepare)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    prepare();
    ::raise(number);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(StraySignals, EndNothing) {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    const bool is_the_c_librarys = number > SIGSYS && number < SIGRTMIN;
    if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU || is_the_c_librarys) continue;
    const int by_default = end_of(number, [] {});
    const int disarmed = end_of(number, disarm_stray_signals);
    switch (number) {
      case SIGTERM:
      case SIGINT:
      case SIGQUIT:
      case SIGKILL:
      case SIGPIPE:
      case SIGABRT:
      case SIGBUS:
      case SIGFPE:
      case SIGILL:
      case SIGSEGV:
      case SIGSYS:
      case SIGTRAP: EXPECT_EQ(disarmed, by_default) << number; break;
      default: EXPECT_EQ(disarmed, 0) << number; break;
    }
  }
}

}  // namespace
}  // namespace buildwarden
