// The status page in a real browser, of a daemon with a real engine: a warm builder that was healed, a job on it,
// images that went for room and others that are there, checkouts. The pictures of the guide and what `status` and
// `disk` say in the README are made by it (build/tests/screens).
#include "common/units.h"
#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

class PageOfASandbox : public DaemonFixture {
 protected:
  void start() {
    DaemonOptions options;
    options.disk =
        "min_free: 300MiB, min_free_inodes: 1000, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 3s, grace: "
        "1s, ballast: 40MiB";
    options.more = "on_full: { purge_builds: true }\n";
    start_daemon(options);
    wait_until_warm();
  }
  void build_as(const std::string& job) const {
    const auto built =
        job_shell("eval \"$(buildwarden job start --id " + job +
                  " --pipeline web --use s3 --ttl 1h)\"\ndocker build --progress plain \"$DIR/context\"");
    ASSERT_EQ(built.exit_code, 0) << built.out;
  }
  void lose_the_builder() const {
    const auto killed = engine_shell("docker kill buildwarden_s3");
    ASSERT_EQ(killed.exit_code, 0) << killed.out;
    const auto is_healed = [this] { return builder_is_warm() && query("/v1/builders", ".builders[0].heals") != "0"; };
    ASSERT_TRUE(eventually(is_healed)) << log();
  }
  void make_checkouts() const {
    const auto made = run_shell("for agent in build-7-1 build-7-2; do for pipeline in web api; do cd " + dir() +
                                "/disk && mkdir -p builds/$agent/acme/$pipeline && head -c 12M /dev/urandom > "
                                "builds/$agent/acme/$pipeline/objects; done; done; chown -R " +
                                agent() + " builds/*");
    ASSERT_EQ(made.exit_code, 0) << made.out;
  }
  // Until the daemon made room and knows what the checkouts take.
  void run_short_for_a_while() const {
    fill_disk_until(400 * kMiB);
    const auto is_known = [this] {
      return query("/v1/disk", "[.filesystems[].users[] | select(.kind == \"checkouts\")] | length") == "2";
    };
    ASSERT_TRUE(eventually(is_known)) << api("/v1/disk");
    ASSERT_TRUE(eventually([this] { return !events("reclaim.step").empty(); })) << api("/v1/events?since=0");
    run_shell("rm " + dir() + "/disk/writer-*");
    ASSERT_TRUE(eventually([this] { return query("/v1/disk", ".filesystems[0].level") == "ok"; })) << api("/v1/disk");
  }
  [[nodiscard]] CommandResult look() const {
    const auto said = log();
    const std::string before = "TCP port ";
    const auto port = std::stoi(said.substr(said.find(before) + before.size()));
    const auto tests = sandbox().substr(0, sandbox().rfind("/packaging/")) + "/tests/integration/";
    return run_shell(tests + "page_test --against " + std::to_string(port));
  }
};

TEST_F(PageOfASandbox, ShowsWhatTheApiSays) {
  start();
  make_checkouts();
  make_image("app:build-811", 120);
  wait_until_old("app:build-811");
  run_short_for_a_while();
  make_image("app:build-812", 240);
  make_image("toolchain:7", 160);
  wait_until_old("toolchain:7");
  build_as("shown");
  lose_the_builder();
  const auto has_a_plan = [this] { return query("/v1/disk/plan", ".steps | length") != "0"; };
  ASSERT_TRUE(eventually(has_a_plan)) << api("/v1/disk/plan");
  const auto looked = look();
  EXPECT_EQ(looked.exit_code, 0) << looked.out;
  EXPECT_EQ(query("/v1/builders/s3", ".leases[0]"), "shown");
  const auto screens = sandbox().substr(0, sandbox().rfind("/packaging/")) + "/build/tests/screens/";
  const auto told = run_shell("export BUILDWARDEN_SOCKET=" + dir() + "/run/api.sock; " + dir() +
                              "/bin/buildwarden status > " + screens + "status.txt && " + dir() +
                              "/bin/buildwarden disk > " + screens + "disk.txt && curl -sf --unix-socket " + dir() +
                              "/run/api.sock http://localhost/metrics > " + screens + "metrics.txt");
  EXPECT_EQ(told.exit_code, 0) << told.out;
}

}  // namespace
}  // namespace buildwarden::testing
