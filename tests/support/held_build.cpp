#include "tests/support/held_build.h"

#include <stdexcept>

namespace buildwarden::testing {

HeldBuild::HeldBuild(const std::string& dir, const std::string& folder) : mark_("held-by-" + folder) {
  for (auto at = mark_.find('/'); at != std::string::npos; at = mark_.find('/')) mark_[at] = '-';
  const auto made = run_shell("set -e; cp -r " + dir + "/context " + folder + "; cat > " + folder +
                              "/Dockerfile <<'END'\nFROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", "
                              "\"sh\", \"-c\", \": " +
                              mark_ + "; trap 'exit 0' USR1; while :; do /bin/busybox sleep 1; done\"]\nEND\n" +
                              "chmod -R a+rX " + folder);
  if (made.exit_code != 0) throw std::runtime_error(made.out);
}

// By what it executes, as the host sees it; the shell that asks must not find itself.
std::string HeldBuild::pid_of_step() const { return run_shell("pgrep -f '^/bin/busybox sh -c : " + mark_ + ";'").out; }

bool HeldBuild::runs() const { return !pid_of_step().empty(); }

bool HeldBuild::release() const {
  const auto pid = pid_of_step();
  return !pid.empty() && run_shell("kill -USR1 " + pid.substr(0, pid.find('\n'))).exit_code == 0;
}

}  // namespace buildwarden::testing
