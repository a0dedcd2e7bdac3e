// The main job on real parts: engine 26, buildx, a builder with BuildKit's own API, ext4 on a loop device.
#include <algorithm>
#include <csignal>
#include <thread>

#include "tests/support/daemon_fixture.h"
#include "tests/support/held_build.h"

namespace buildwarden::testing {
namespace {

constexpr std::int64_t kMiB = 1'048'576;

class MainJob : public DaemonFixture {
 protected:
  // A build by the hand-out in a job of its own; `extra` are arguments of docker build.
  [[nodiscard]] CommandResult handed_out_build(const std::string& id, const std::string& extra = "") const {
    return job_shell("eval \"$(buildwarden job start --id " + id + " --use s3)\"\n" + "docker build --progress plain " +
                     extra + " \"$CONTEXT\"\n" + "buildwarden job end --id " + id);
  }
  // Both are young afterwards. How long it took, in seconds.
  double use_fresh_and_build(const std::string& id) const {
    const auto used = engine_shell("docker run --rm fresh:1 /busybox true");
    EXPECT_EQ(used.exit_code, 0) << used.out;
    const auto built = handed_out_build(id);
    EXPECT_EQ(built.exit_code, 0) << built.out;
    return used.seconds + built.seconds;
  }
  [[nodiscard]] std::string container_state(const std::string& name) const {
    const auto text = engine_shell("docker ps -a --filter name='^/" + name + "$' --format '{{.State}}'").out;
    return text.empty() ? "missing" : text.substr(0, text.find('\n'));
  }
  [[nodiscard]] bool has_image(const std::string& tag) const {
    return engine_shell("docker image inspect " + tag + " >/dev/null").exit_code == 0;
  }
};

// A job that is in no group docker and has an empty DOCKER_CONFIG builds, and again from the cache.
TEST_F(MainJob, AnIsolatedJobBuildsOnTheWarmBuilderAndAgainCached) {
  start_daemon();
  wait_until_warm();
  const auto first = handed_out_build("first");
  ASSERT_EQ(first.exit_code, 0) << first.out;
  EXPECT_EQ(first.out.find("CACHED"), std::string::npos) << first.out;
  const auto second = handed_out_build("second", "--output type=local,dest=\"$DOCKER_CONFIG/out\"");
  ASSERT_EQ(second.exit_code, 0) << second.out;
  EXPECT_NE(second.out.find("CACHED"), std::string::npos) << second.out;
  EXPECT_EQ(query("/v1/jobs", ".jobs | length"), "0");
  EXPECT_NE(events("job.started").find("\"first\""), std::string::npos);
}

// Without `use`, plain docker build must not be redirected.
TEST_F(MainJob, PlainBuildsStayOnTheEngineUnlessTheJobAsks) {
  start_daemon();
  wait_until_warm();
  const auto job = job_shell(
      "eval \"$(buildwarden job start --id plain)\"; echo \"builder=${BUILDX_BUILDER-unset}\"; "
      "docker buildx build --builder buildwarden-s3 --progress plain \"$CONTEXT\"");
  ASSERT_EQ(job.exit_code, 0) << job.out;
  EXPECT_NE(job.out.find("builder=unset"), std::string::npos) << job.out;
}

// The documented recipe attaches through the front; its rm takes the front alone, and a build by the hand-out goes on.
TEST_F(MainJob, TheDocumentedRecipeBecomesWarmAndDoesNoHarm) {
  start_daemon();
  wait_until_warm();
  ASSERT_EQ(handed_out_build("warm-up").exit_code, 0);
  ASSERT_TRUE(eventually([this] { return container_state("buildx_buildkit_s30") == "running"; }));
  const auto before = engine_shell("docker inspect -f '{{.Id}}' buildwarden_s3").out;

  const HeldBuild slow(dir(), dir() + "/slow");
  CommandResult other;
  std::thread concurrent([&] {
    other = job_shell(
        "eval \"$(buildwarden job start --id concurrent --use s3)\"; docker build --progress plain \"$DIR/slow\"");
  });
  EXPECT_TRUE(eventually([&] { return slow.runs(); }));
  const auto recipe = recipe_shell(
      "docker buildx ls | grep -q '^s3 ' || docker buildx create --name s3 --driver=docker-container --use "
      "--bootstrap\n"
      "docker buildx build --progress plain \"$CONTEXT\"\n"
      "docker buildx rm s3\n");
  EXPECT_TRUE(slow.release()) << "it goes on all the while";
  concurrent.join();
  ASSERT_EQ(recipe.exit_code, 0) << recipe.out;
  EXPECT_NE(recipe.out.find("CACHED"), std::string::npos) << recipe.out;
  EXPECT_EQ(other.exit_code, 0) << other.out;
  EXPECT_EQ(engine_shell("docker inspect -f '{{.Id}}' buildwarden_s3").out, before);
  EXPECT_TRUE(eventually([this] { return container_state("buildx_buildkit_s30") == "running"; }))
      << "the front is made again";
}

// The disk runs low: what was used longest ago goes, what is used stays, the builder stays warm, freed as df shows it.
TEST_F(MainJob, ReclaimsByLastUseAndTouchesNothingInUse) {
  start_daemon();
  wait_until_warm();
  for (const std::string tag : {"old:1", "older:1"}) make_image(tag, 260);
  for (const std::string tag : {"busy:1", "fresh:1"}) make_image(tag, 100);
  ASSERT_EQ(engine_shell("docker run -d --name holds busy:1").exit_code, 0);
  // Used in this order, which is not the order in which they were built.
  for (const std::string tag : {"older:1", "old:1"}) {
    const auto used = engine_shell("docker run --rm " + tag + " /busybox true");
    ASSERT_EQ(used.exit_code, 0) << used.out;
  }
  // What is used again must be young to the end of the reclaim, however long this machine takes for it all.
  ASSERT_EQ(handed_out_build("warm-up").exit_code, 0);
  const auto took = use_fresh_and_build("measured");
  EXPECT_EQ(stop_daemon(), 0);
  DaemonOptions options;
  options.disk =
      "min_free: 300MiB, min_free_inodes: 1000, reclaim_below: 15%, reclaim_to: 25%, grace: 1s, ballast: 0B, "
      "rank_by: last_use, keep_used_within: " +
      std::to_string(std::max(6, static_cast<int>(5 * took))) + "s";
  start_daemon(options);
  wait_until_warm();
  wait_until_old("old:1");
  use_fresh_and_build("before");

  const auto target = std::stoll(query("/v1/disk", ".filesystems[0].marks.target_bytes"));
  fill_disk_until(250 * kMiB);  // below min_free
  ASSERT_TRUE(eventually([this] { return !events("reclaim.done").empty(); })) << api("/v1/events?since=0");

  EXPECT_GE(free_bytes(), target);
  EXPECT_FALSE(has_image("older:1"));
  EXPECT_FALSE(has_image("old:1"));
  EXPECT_TRUE(has_image("busy:1"));
  EXPECT_TRUE(has_image("fresh:1"));
  EXPECT_TRUE(has_image(builder_image()));
  const auto steps = query("/v1/events?since=0", ".events[] | select(.kind == \"reclaim.step\") | .fields.name");
  EXPECT_LT(steps.find("older:1"), steps.find("old:1")) << steps;
  const auto freed = std::stoll(query("/v1/events?since=0",
                                      "[.events[] | select(.kind == \"reclaim.step\" and (.fields.name | "
                                      "startswith(\"old\"))) | .fields.freed_bytes] | add"));
  EXPECT_NEAR(static_cast<double>(freed), 520.0 * kMiB, 30.0 * kMiB) << "as statvfs measured it";
  EXPECT_TRUE(builder_is_warm());
  const auto after = handed_out_build("after");
  ASSERT_EQ(after.exit_code, 0) << after.out;
  EXPECT_NE(after.out.find("CACHED"), std::string::npos) << after.out;
}

TEST_F(MainJob, DryRunPlansTheSameAndChangesNothing) {
  DaemonOptions options;
  options.dry_run = true;
  start_daemon(options);
  make_image("old:1", 150);
  ASSERT_TRUE(eventually([this] { return query("/v1/status", ".engine.up") == "true"; }));
  wait_until_old("old:1");
  fill_disk_until(400 * kMiB);
  ASSERT_TRUE(eventually([this] { return !events("reclaim.step").empty(); })) << api("/v1/events?since=0");
  EXPECT_TRUE(has_image("old:1"));
  EXPECT_EQ(container_state("buildwarden_s3"), "missing") << "a dry run makes no builder either";
}

// An engine that dies is a state: the disk is still watched, readiness says why, and everything resumes by itself.
TEST_F(MainJob, AKilledEngineIsShownAndEverythingResumes) {
  start_daemon();
  wait_until_warm();
  ASSERT_TRUE(eventually([this] { return api_status("/readyz") == 200; })) << api("/readyz");
  ASSERT_EQ(run_shell(sandbox() + " engine-stop " + dir() + " KILL").exit_code, 0);
  ASSERT_TRUE(eventually([this] { return api_status("/readyz") == 503; }));
  EXPECT_NE(api("/readyz").find("engine"), std::string::npos);
  EXPECT_EQ(query("/v1/disk", ".filesystems[0].level"), "ok");
  const auto job = job_shell("eval \"$(buildwarden job start --id meanwhile)\"");
  EXPECT_EQ(job.exit_code, 0) << job.out;
  ASSERT_EQ(run_shell(sandbox() + " engine-start " + dir()).exit_code, 0);
  ASSERT_TRUE(eventually([this] { return api_status("/readyz") == 200 && builder_is_warm(); })) << api("/readyz");
  const auto after = handed_out_build("after");
  EXPECT_EQ(after.exit_code, 0) << after.out;
}

TEST_F(MainJob, StartsWithoutAnEngineAtAll) {
  ASSERT_EQ(run_shell(sandbox() + " engine-stop " + dir()).exit_code, 0);
  start_daemon();
  EXPECT_EQ(api_status("/readyz"), 503);
  EXPECT_TRUE(eventually([this] { return query("/v1/disk", ".filesystems[0].level") == "ok"; })) << api("/v1/disk");
  ASSERT_EQ(run_shell(sandbox() + " engine-start " + dir()).exit_code, 0);
  wait_until_warm();
}

// SIGTERM ends it with 0; builds, builder and leases are there for the next one.
TEST_F(MainJob, ARestartKeepsLeasesAndBuilder) {
  start_daemon();
  wait_until_warm();
  ASSERT_EQ(job_shell("buildwarden job start --id kept --ttl 1h > /dev/null").exit_code, 0);
  const auto builder = engine_shell("docker inspect -f '{{.Id}} {{.State.StartedAt}}' buildwarden_s3").out;
  EXPECT_EQ(stop_daemon(), 0) << log();
  EXPECT_EQ(engine_shell("docker inspect -f '{{.Id}} {{.State.StartedAt}}' buildwarden_s3").out, builder);
  start_daemon();
  EXPECT_EQ(query("/v1/jobs", ".jobs[0].id"), "kept");
  wait_until_warm();
  EXPECT_EQ(engine_shell("docker inspect -f '{{.Id}} {{.State.StartedAt}}' buildwarden_s3").out, builder);
}

TEST_F(MainJob, BadInputIsRefusedByName) {
  start_daemon();
  EXPECT_EQ(api_status("/v1/jobs", "-d '{\"id\":\"x\",\"uze\":\"s3\"}'"), 400);
  const auto problem = api("/v1/jobs", "-d '{\"id\":\"x\",\"uze\":\"s3\"}'");
  EXPECT_NE(problem.find("uze"), std::string::npos) << problem;
  EXPECT_EQ(api_status("/v1/jobs/none", "-X DELETE"), 404);
  EXPECT_NE(api("/v1/jobs/none", "-X DELETE").find("job_unknown"), std::string::npos);
  EXPECT_EQ(api_status("/nothing"), 404);
  const auto check = run_shell("printf 'disk: { min_free: 5 apples }\\nbuilder: []\\n' > " + dir() + "/bad.yaml; " +
                               dir() + "/bin/buildwarden config check --config " + dir() + "/bad.yaml");
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_NE(check.out.find("bad.yaml:1:19: disk.min_free"), std::string::npos) << check.out;
  EXPECT_NE(check.out.find("bad.yaml:2:1: builder"), std::string::npos) << check.out;
  EXPECT_EQ(run_shell(dir() + "/bin/buildwarden serve --config " + dir() + "/bad.yaml").exit_code, 1);
}

TEST_F(MainJob, PrometheusSeesIt) {
  start_daemon();
  wait_until_warm();
  const auto metrics = api("/metrics");
  for (const std::string wanted : {"buildwarden_builder_up{builder=\"s3\"} 1", "buildwarden_engine_up 1",
                                   "buildwarden_disk_free_bytes", "buildwarden_build_info"}) {
    EXPECT_NE(metrics.find(wanted), std::string::npos) << wanted << "\n" << metrics;
  }
}

}  // namespace
}  // namespace buildwarden::testing
