// The doctor on real parts: a machine in order, and what it says of one that is not.
#include "tests/support/daemon_fixture.h"
#include "tests/support/own_mounts.h"

namespace buildwarden::testing {
namespace {

class Doctor : public DaemonFixture {
 protected:
  // `before` runs in a mount namespace of its own.
  [[nodiscard]] CommandResult doctor(const std::string& more = "", const std::string& before = "true") const {
    return run_shell("unshare --mount bash -s <<'END'\n" + without_others_disks(dir()) + before +
                     " && exec env BUILDWARDEN_SOCKET=" + dir() + "/run/api.sock " + dir() +
                     "/bin/buildwarden doctor --config " + dir() + "/buildwarden.yaml " + more + " < /dev/null\nEND");
  }
  [[nodiscard]] bool is_running(const std::string& container) const {
    return engine_shell("docker inspect -f '{{.State.Running}}' " + container + " || true").out.starts_with("true");
  }
  // Everything is there, the front too.
  void start_and_wait() {
    start_daemon();
    wait_until_warm();
    ASSERT_TRUE(eventually([this] { return api_status("/readyz") == 200 && is_running("buildx_buildkit_s30"); }))
        << api("/readyz");
  }
  static void expect_says(const CommandResult& run, const std::string& text) {
    EXPECT_NE(run.out.find(text), std::string::npos) << text << "\n" << run.out;
  }
};

TEST_F(Doctor, AMachineInOrder) {
  start_and_wait();
  const auto run = doctor();
  EXPECT_EQ(run.exit_code, 0) << run.out;
  expect_says(run, ", 0 wrong");
  expect_says(run, "s3 is warm");
  expect_says(run, "s3: 2000 gets through to");
  expect_says(run, "2000 may open");
  const auto json = run_shell("set -o pipefail; " + dir() + "/bin/buildwarden --json --socket " + dir() +
                              "/run/api.sock doctor --config " + dir() + "/buildwarden.yaml | jq -e '.errors == 0'");
  EXPECT_EQ(json.exit_code, 0) << json.out;
}

TEST_F(Doctor, BuildxOnlyWhereAJobDoesNotLook) {
  start_and_wait();
  const auto run = doctor("",
                          "for folder in /usr/{local/,}lib{exec,}/docker/cli-plugins; do [ ! -d $folder ] || mount -t "
                          "tmpfs none $folder; done");
  EXPECT_EQ(run.exit_code, 1) << run.out;
  expect_says(run, "error    tools: buildx is in none of the folders");
  expect_says(run, "fix: install it (Debian: docker-buildx)");
}

TEST_F(Doctor, ASocketThatTheAgentCannotOpen) {
  start_and_wait();
  ASSERT_EQ(run_shell("chown 0:0 " + dir() + "/run/builders/s3/buildkitd.sock " + dir() + "/run/api.sock").exit_code,
            0);
  const auto run = doctor();
  EXPECT_EQ(run.exit_code, 1) << run.out;
  expect_says(run, "error    builders: s3: 2000 does not get through");
  expect_says(run, "fix: set agent.group to a group of 2000");
  expect_says(run, "error    agent: 2000 may not open");
}

TEST_F(Doctor, AStoppedBuilderUnderADryRunAndThenNoDaemonAtAll) {
  start_and_wait();
  EXPECT_EQ(stop_daemon(), 0);
  ASSERT_EQ(engine_shell("docker stop -t 1 buildwarden_s3").exit_code, 0);
  DaemonOptions options;
  options.dry_run = true;
  start_daemon(options);
  auto run = doctor();
  EXPECT_EQ(run.exit_code, 1) << run.out;
  expect_says(run, "error    builders: s3: its container buildwarden_s3 does not run");
  expect_says(run, "fix: the daemon starts it");
  EXPECT_EQ(stop_daemon(), 0);
  run = doctor();
  EXPECT_EQ(run.exit_code, 1) << run.out;
  expect_says(run, "error    daemon: it does not answer");
  expect_says(run, "ok       tools: ");
  expect_says(run, "ok       engine: ");
}

}  // namespace
}  // namespace buildwarden::testing
