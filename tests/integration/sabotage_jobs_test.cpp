// What jobs, operators and upgrades do to a builder while another job builds on it: that build finishes.
#include <csignal>
#include <optional>
#include <thread>

#include "tests/support/held_build.h"
#include "tests/support/sabotage_fixture.h"

namespace buildwarden::testing {
namespace {

class WhileOthersBuild : public SabotageFixture {
 protected:
  // Does `harm` once the slow build runs, which ends after it, and gives how that build ended.
  template <class Work>
  CommandResult during_a_build(const std::string& id, Work harm) {
    CommandResult build;
    std::thread job([&] {
      build = job_shell("eval \"$(buildwarden job start --id " + id + " --use s3)\"\n" +
                        "docker build --progress plain --no-cache \"$DIR/slow\"");
    });
    const bool building = eventually([&] { return slow_->runs(); });
    if (building) harm();
    EXPECT_TRUE(slow_->release()) << "the build did not outlive the harm";
    job.join();
    EXPECT_TRUE(building);
    return build;
  }
  void make_slow_context() { slow_.emplace(dir(), dir() + "/slow"); }

 private:
  std::optional<HeldBuild> slow_;
};

TEST_F(WhileOthersBuild, NoJobCanBreakTheirBuild) {
  start_daemon();
  wait_until_warm();
  ASSERT_NO_FATAL_FAILURE(make_slow_context());
  const auto builder = inspected("buildwarden_s3", "{{.Id}} {{.State.StartedAt}}");
  const auto build = during_a_build("builds", [&] {
    const auto own = job_shell(
        "eval \"$(buildwarden job start --id vandal --use s3)\"; docker buildx stop buildwarden-s3 || true; "
        "docker buildx rm buildwarden-s3 || true");
    EXPECT_EQ(own.exit_code, 0) << own.out;
    const auto recipe = recipe_shell(
        "docker buildx create --name s3 --driver=docker-container --use --bootstrap; docker buildx stop s3; "
        "docker buildx rm s3");
    EXPECT_EQ(recipe.exit_code, 0) << recipe.out;
    ASSERT_TRUE(eventually([&] { return is_running("buildx_buildkit_s30"); }));
    EXPECT_EQ(engine_shell("docker rm -f buildx_buildkit_s30").exit_code, 0);
  });
  EXPECT_EQ(build.exit_code, 0) << build.out;
  EXPECT_EQ(inspected("buildwarden_s3", "{{.Id}} {{.State.StartedAt}}"), builder);
  EXPECT_TRUE(eventually([&] { return is_running("buildx_buildkit_s30"); })) << "made again";
}

// An upgrade, a stop, a crash of the daemon: the build does not notice, and neither does its socket.
TEST_F(WhileOthersBuild, TheDaemonMayComeAndGo) {
  start_daemon();
  wait_until_warm();
  ASSERT_NO_FATAL_FAILURE(make_slow_context());
  const auto inode = [&] { return run_shell("stat -c %d:%i " + dir() + "/run/builders/s3").out; };
  const auto folder = inode();
  for (const int signal : {SIGTERM, SIGKILL}) {
    const auto build = during_a_build("signal-" + std::to_string(signal), [&] {
      daemon().send(signal);
      daemon().wait();
      start_daemon();
      EXPECT_TRUE(eventually([&] { return builds_run(); })) << api("/v1/builders/s3");
    });
    EXPECT_EQ(build.exit_code, 0) << build.out;
    EXPECT_EQ(inode(), folder);
  }
}

TEST_F(WhileOthersBuild, RecreationWaitsForThem) {
  start_daemon();
  wait_until_warm();
  ASSERT_NO_FATAL_FAILURE(make_slow_context());
  const auto id = inspected("buildwarden_s3", "{{.Id}}");
  const auto cli = dir() + "/bin/buildwarden --socket " + dir() + "/run/api.sock builders recreate s3";
  const auto build = during_a_build("builds", [&] {
    const auto refused = run_shell(cli);
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_NE(refused.out.find("once no build runs ("), std::string::npos) << refused.out;
    EXPECT_NE(job_shell("buildwarden builders recreate s3").exit_code, 0) << "root only";
  });
  EXPECT_EQ(build.exit_code, 0) << build.out;
  ASSERT_TRUE(eventually([&] { return run_shell(cli + " --dry-run").exit_code == 0; }));
  EXPECT_EQ(inspected("buildwarden_s3", "{{.Id}}"), id) << "a dry run changes nothing";
  const auto made = run_shell(cli);
  EXPECT_EQ(made.exit_code, 0) << made.out;
  EXPECT_NE(inspected("buildwarden_s3", "{{.Id}}"), id);
  EXPECT_EQ(api_status("/v1/builders/none/recreate", "-X POST"), 404);
  const auto again = handed_out_build("again", "slow");
  EXPECT_EQ(again.exit_code, 0) << again.out;
  EXPECT_NE(again.out.find("CACHED"), std::string::npos) << again.out;
  EXPECT_TRUE(eventually([&] { return query("/v1/builders/s3", ".version") != "null"; })) << api("/v1/builders/s3");
  EXPECT_NE(query("/v1/builders/s3", ".platforms[0]").find("linux/"), std::string::npos) << api("/v1/builders/s3");
  std::printf("recreated: %s", made.out.c_str());
}

// The folder of tmpfs is made anew under a running builder, as a careless tmpfiles rule does: jobs would dial nobody.
TEST_F(WhileOthersBuild, ALostSocketFolderIsFoundAgain) {
  start_daemon();
  wait_until_warm();
  const auto folder = dir() + "/run/builders/s3";
  ASSERT_EQ(run_shell("mv " + folder + " " + folder + ".old; mkdir " + folder).exit_code, 0);
  ASSERT_EQ(engine_shell("docker update --restart unless-stopped buildwarden_s3").exit_code, 0);  // it looks at once
  const auto healed = [&] { return events("builder.healed").find("folder_changed") != std::string::npos; };
  ASSERT_TRUE(eventually(healed)) << api("/v1/builders") << events("builder.healed");
  const auto next = handed_out_build("after");
  EXPECT_EQ(next.exit_code, 0) << next.out;
}

// A container of the builder's name that somebody else made.
TEST_F(WhileOthersBuild, AForeignBuilderIsAdoptedOrRefusedAndNeverDestroyed) {
  const auto folder = dir() + "/run/builders/s3";
  const auto loaded =
      engine_shell("for image in \"$BUILDWARDEN_LAB\"/images/*.tar; do docker load -qi \"$image\"; done");
  ASSERT_EQ(loaded.exit_code, 0) << loaded.out;
  const auto run = [&](const std::string& mount) {
    const auto made = engine_shell("mkdir -p " + folder +
                                   "; docker rm -f buildwarden_s3 2>/dev/null || true; "
                                   "docker run -d --name buildwarden_s3 --privileged -v foreign:/var/lib/buildkit " +
                                   mount + " " + builder_image() +
                                   " --addr unix:///run/buildkit/buildkitd.sock "
                                   "--group 2000");
    ASSERT_EQ(made.exit_code, 0) << made.out;
  };
  ASSERT_NO_FATAL_FAILURE(run("-v " + folder + ":/run/buildkit"));
  const auto id = inspected("buildwarden_s3", "{{.Id}}");
  start_daemon();
  ASSERT_TRUE(eventually([&] { return query("/v1/builders/s3", ".reason").find("not ours") != std::string::npos; }))
      << api("/v1/builders/s3");
  EXPECT_EQ(stop_daemon(), 0);
  DaemonOptions adopt;
  adopt.builders = "[ { name: s3, on_foreign: adopt } ]";
  start_daemon(adopt);
  wait_until_warm();
  ASSERT_EQ(run_shell("chmod 755 " + dir() + "/run/builders/s3").exit_code, 0);
  const auto build = handed_out_build("adopted");
  EXPECT_EQ(build.exit_code, 0) << build.out;
  EXPECT_EQ(inspected("buildwarden_s3", "{{.Id}}"), id);
  daemon().send(SIGSTOP);            // between removal and creation it would be quicker
  ASSERT_NO_FATAL_FAILURE(run(""));  // one that serves its socket to nobody
  daemon().send(SIGCONT);
  ASSERT_EQ(run_shell("rm -f " + folder + "/buildkitd.sock").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return query("/v1/builders/s3", ".state") == "down"; })) << api("/v1/builders/s3");
  EXPECT_NE(query("/v1/builders/s3", ".reason").find("nobody has answered"), std::string::npos)
      << api("/v1/builders/s3");
  EXPECT_TRUE(is_running("buildwarden_s3"));
}

}  // namespace
}  // namespace buildwarden::testing
