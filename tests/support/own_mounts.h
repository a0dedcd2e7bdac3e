// For a mount namespace of a test's own.
#pragma once

#include <string>

namespace buildwarden::testing {

// Shell text for the new namespace: lets go of the disks of tests that run beside it, which it would hold for as long
// as it lives. `dir`: the folder whose mounts stay. Lazily and without a look at them: one may be frozen or hang.
inline std::string without_others_disks(const std::string& dir) {
  return "awk -v own=" + dir + R"(/ 'index($5, "/tmp/b") == 1 && index($5 "/", own) != 1 { print $5 }' )" +
         R"(/proc/self/mountinfo | tac | while read -r point; do )" +
         R"-(umount -cl "$(printf %b "$point")" 2> /dev/null || true; done)-" + "\n";
}

}  // namespace buildwarden::testing
