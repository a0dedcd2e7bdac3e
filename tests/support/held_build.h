// A build whose step goes on until the test says that it may end: what is done to others meanwhile takes as long as it
// takes.
#pragma once

#include <string>

#include "tests/support/command.h"

namespace buildwarden::testing {

class HeldBuild {
 public:
  // Makes the build's context `folder` from the one that a DaemonFixture has below `dir`. Throws what the shell said.
  HeldBuild(const std::string& dir, const std::string& folder);

  [[nodiscard]] bool runs() const;
  // Lets the step that runs end well; false: none runs.
  [[nodiscard]] bool release() const;

 private:
  [[nodiscard]] std::string pid_of_step() const;

  std::string mark_;  // in the command line of its step, and of nobody else's
};

}  // namespace buildwarden::testing
