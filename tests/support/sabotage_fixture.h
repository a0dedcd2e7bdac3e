// A warm builder to do harm to, and a job's view of it.
#pragma once

#include <string>

#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {

class SabotageFixture : public DaemonFixture {
 protected:
  // A build by the hand-out in a job of its own, of one of its contexts.
  [[nodiscard]] CommandResult handed_out_build(const std::string& id, const std::string& context = "context") const {
    return job_shell("eval \"$(buildwarden job start --id " + id + " --use s3)\"\n" +
                     "docker build --progress plain \"$DIR/" + context + "\"\n" + "buildwarden job end --id " + id);
  }
  [[nodiscard]] std::string inspected(const std::string& container, const std::string& format) const {
    auto text = engine_shell("docker inspect -f '" + format + "' " + container + " 2>/dev/null || true").out;
    return text.substr(0, text.find('\n'));
  }
  [[nodiscard]] bool is_running(const std::string& container) const {
    return inspected(container, "{{.State.Running}}") == "true";
  }
  [[nodiscard]] bool builds_run() const { return query("/v1/builders/s3", ".running_builds // 0 | . > 0") == "true"; }
};

}  // namespace buildwarden::testing
