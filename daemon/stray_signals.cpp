#include "daemon/stray_signals.h"

#include <array>
#include <csignal>

namespace buildwarden {
namespace {

// All whose default is to end the process (signal(7)), but for SIGTERM, SIGINT and SIGQUIT, which ask for it, SIGKILL,
// SIGPIPE, which serve() ignores, and faults: SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP.
constexpr std::array kStray = {SIGHUP, SIGALRM, SIGUSR1,   SIGUSR2, SIGVTALRM, SIGPROF,
                               SIGIO,  SIGPWR,  SIGSTKFLT, SIGXCPU, SIGXFSZ};

void disarm(int number) {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void disarm_stray_signals() {
  for (const int number : kStray) disarm(number);
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) disarm(number);
}

}  // namespace buildwarden
