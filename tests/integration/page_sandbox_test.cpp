// The status page in a real browser, of a daemon with a real engine, a warm builder and a job on it.
#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

class PageOfASandbox : public DaemonFixture {};

TEST_F(PageOfASandbox, ShowsWhatTheApiSays) {
  start_daemon();
  wait_until_warm();
  const auto job = job_shell(
      "eval \"$(buildwarden job start --id shown --pipeline web --use s3 --ttl 1h)\"\n"
      "docker build --progress plain \"$DIR/context\"");
  ASSERT_EQ(job.exit_code, 0) << job.out;
  const auto said = log();
  const std::string before = "TCP port ";
  const auto port = std::stoi(said.substr(said.find(before) + before.size()));
  const auto tests = sandbox().substr(0, sandbox().rfind("/packaging/")) + "/tests/integration/";
  const auto looked = run_shell(tests + "page_test --against " + std::to_string(port));
  EXPECT_EQ(looked.exit_code, 0) << looked.out;
  EXPECT_EQ(query("/v1/builders/s3", ".leases[0]"), "shown");
}

}  // namespace
}  // namespace buildwarden::testing
