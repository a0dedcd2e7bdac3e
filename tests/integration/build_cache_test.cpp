// Build caches on real parts: the container builder's, by its last use and down to its share.
#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kMiB = 1'048'576;
constexpr std::int64_t kLayer = 90 * kMiB;

class BuildCaches : public DaemonFixture {
 protected:
  // One build on the warm builder, whose one large layer is `name`'s own; again: cached.
  [[nodiscard]] CommandResult build(const std::string& name) const {
    const auto context = run_shell(
        "d=" + dir() + "/" + name + "; mkdir -p $d && cp " + dir() + "/context/busybox $d/ && printf '%s\\n' " +
        "'FROM scratch' 'COPY busybox /busybox' 'RUN [\"/busybox\", \"dd\", \"if=/dev/urandom\", \"of=/" + name +
        "\", \"bs=1048576\", \"count=90\"]' > $d/Dockerfile && chmod -R a+rX $d");
    if (context.exit_code != 0) return context;
    return build_of(name);
  }
  // Of a context that is there.
  [[nodiscard]] CommandResult build_of(const std::string& name) const {
    return job_shell("eval \"$(buildwarden job start --id " + name + " --use s3)\"\n" +
                     "docker build --progress plain \"$DIR/" + name + "\" 2>&1\n" + "buildwarden job end --id " + name);
  }
  void build_all(const std::vector<std::string>& names) const {
    for (const auto& name : names) {
      const auto built = build(name);
      ASSERT_EQ(built.exit_code, 0) << built.out;
    }
  }
  [[nodiscard]] bool is_cached(const std::string& name) const {
    const auto built = build(name);
    EXPECT_EQ(built.exit_code, 0) << built.out;
    return built.out.find("CACHED") != std::string::npos && built.out.find("records in") == std::string::npos;
  }
  [[nodiscard]] std::int64_t number(const std::string& path, const std::string& filter) const {
    const auto text = query(path, filter);
    return text.empty() || text == "null" ? 0 : std::stoll(text);
  }
  // Of a reclaim's builder caches.
  [[nodiscard]] static std::int64_t bytes_of(const std::string& answer, const std::string& field) {
    const auto sum = run_shell("jq '[.. | objects | select(.rung? == \"build_cache\") | ." + field +
                               " // 0] | add // 0' <<'END'\n" + answer + "\nEND\n");
    EXPECT_EQ(sum.exit_code, 0) << sum.out << answer;
    return sum.exit_code == 0 ? std::stoll(sum.out) : 0;
  }
  // Of the steps that pruned: how many, and what they freed in all as statvfs measured it.
  [[nodiscard]] std::int64_t steps(const std::string& rung, const std::string& what) const {
    return number("/v1/events?since=0", "[.events[] | select(.kind == \"reclaim.step\" and .fields.rung == \"" + rung +
                                            "\" and (.fields.id | startswith(\"builder:s3 \"))) | " + what + "] | add");
  }
};

// The background learns how large the cache is; a shortage costs what was used longest ago, and the builder stays warm.
TEST_F(BuildCaches, ABuildersCacheGoesByLastUse) {
  DaemonOptions options;
  options.disk += ", rank_by: last_use";
  start_daemon(options);
  wait_until_warm();
  build_all({"a", "b", "c", "d", "e", "f", "g"});
  ASSERT_TRUE(is_cached("a"));  // its last use is the latest now
  ASSERT_TRUE(eventually([this] { return number("/v1/builders", ".builders[0].cache_bytes") > 7 * kLayer; }))
      << api("/v1/builders");
  EXPECT_NE(api("/metrics").find("buildwarden_builder_cache_bytes{builder=\"s3\"} "), std::string::npos);
  ASSERT_TRUE(is_cached("a"));
  std::this_thread::sleep_for(seconds{4});  // longer than keep_used_within

  const auto target = number("/v1/disk", ".filesystems[0].marks.target_bytes");
  fill_disk_until(number("/v1/disk", ".filesystems[0].marks.low_bytes") - kMiB);  // 295 MiB short of the target
  ASSERT_TRUE(eventually([this] { return !events("reclaim.done").empty(); })) << api("/v1/events?since=0");
  EXPECT_GE(free_bytes(), target);
  EXPECT_GE(steps("build_cache", "1"), 3);
  EXPECT_GE(steps("build_cache", ".fields.freed_bytes"), 3 * kLayer);
  EXPECT_TRUE(builder_is_warm());
  EXPECT_TRUE(is_cached("a")) << "it was used last";
  EXPECT_FALSE(is_cached("b")) << "it was used longest ago";
}

// Issue 15: a cached build touches its leaf alone, and BuildKit deletes nothing that has children. What is built on an
// old base keeps it; the plan promises nothing of it, and what it promises is given back.
TEST_F(BuildCaches, ABaseUnderALeafThatWasJustUsedIsNeitherPlannedNorLost) {
  DaemonOptions options;
  options.disk =
      "min_free: 300MiB, min_free_inodes: 1000, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 20s, grace: 1s, "
      "ballast: 0B";
  start_daemon(options);
  wait_until_warm();
  const auto chain =
      run_shell("d=" + dir() + "/chain; mkdir -p $d && cp " + dir() +
                "/context/busybox $d/ && printf '%s\\n' 'FROM scratch' 'COPY busybox /busybox' " +
                "'RUN [\"/busybox\", \"dd\", \"if=/dev/urandom\", \"of=/base\", \"bs=1048576\", " +
                "\"count=200\"]' 'RUN [\"/busybox\", \"mkdir\", \"/leaf\"]' > $d/Dockerfile && chmod -R a+rX $d");
  ASSERT_EQ(chain.exit_code, 0) << chain.out;
  const auto touched = [this] {
    const auto built = build_of("chain");
    EXPECT_EQ(built.exit_code, 0) << built.out;
    return built.out.find("CACHED") != std::string::npos && built.out.find("records in") == std::string::npos;
  };
  ASSERT_FALSE(touched()) << "its first build";
  build_all({"a", "b"});  // younger than the base, as it looks
  std::int64_t planned = 0;
  ASSERT_TRUE(eventually([&] {
    EXPECT_TRUE(touched());
    planned = bytes_of(reclaim(true), "reported_bytes");
    return planned > 2 * kLayer;
  })) << api("/v1/events?since=0");
  EXPECT_LT(planned, 2 * kLayer + 50 * kMiB) << "without the base";
  ASSERT_TRUE(touched());
  const auto done = reclaim(false);
  EXPECT_NEAR(static_cast<double>(bytes_of(done, "reported_bytes")), static_cast<double>(planned), 0.1 * kLayer)
      << done;
  EXPECT_NEAR(static_cast<double>(bytes_of(done, "freed_bytes")), static_cast<double>(planned), 0.2 * kLayer) << done;
  EXPECT_TRUE(touched()) << "the base is there";
  EXPECT_FALSE(is_cached("a"));
  EXPECT_EQ(events("reclaim.nothing_freed"), "");
}

// Nothing is old enough, so the cache is brought down to its share and no further.
TEST_F(BuildCaches, ABuildersCacheGoesDownToItsShare) {
  DaemonOptions options;
  options.disk =
      "min_free: 300MiB, min_free_inodes: 1000, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 10h, grace: 1s, "
      "ballast: 0B, rank_by: last_use";
  options.builders =
      "[ { name: s3, aliases: [my-custom-builder], cache_share: 230MiB } ]";  // BuildKit itself collects at its start
                                                                              // and then once a minute
  start_daemon(options);
  wait_until_warm();
  build_all({"a", "b", "c", "d", "e"});
  const auto low = number("/v1/disk", ".filesystems[0].marks.low_bytes");
  fill_disk_until(low - 20 * kMiB);
  ASSERT_TRUE(eventually([this] { return !events("reclaim.done").empty() || !events("reclaim.short").empty(); }))
      << api("/v1/events?since=0");
  EXPECT_EQ(steps("build_cache", "1"), 0);
  EXPECT_GE(steps("build_cache_share", "1"), 2) << api("/v1/events?since=0");
  EXPECT_GE(steps("build_cache_share", ".fields.freed_bytes"), 2 * kLayer);
  EXPECT_TRUE(is_cached("d"));
  EXPECT_TRUE(is_cached("e"));
  EXPECT_FALSE(is_cached("a"));
}

// Issue 18, as it is judged: a slow step of some KiB stays where a quick one of 300 MiB goes, and the next build has it
// CACHED. What it took is learned from the builder's history, and known after the daemon's restart.
class WorthOfSteps : public BuildCaches {
 protected:
  void build_slow_and_quick(const std::string& rank_by) {
    DaemonOptions options;
    options.disk += ", rank_by: " + rank_by;
    start_daemon(options);
    wait_until_warm();
    const auto made = run_shell(
        "d=" + dir() + "/slow; mkdir -p $d " + dir() + "/quick && cp " + dir() + "/context/busybox $d/ && cp " + dir() +
        "/context/busybox " + dir() + "/quick/ && printf '%s\\n' 'FROM scratch' 'COPY busybox /busybox' " +
        "'RUN [\"/busybox\", \"sleep\", \"8\"]' > $d/Dockerfile && printf '%s\\n' 'FROM scratch' " +
        "'COPY busybox /busybox' 'RUN [\"/busybox\", \"dd\", \"if=/dev/urandom\", \"of=/big\", " +
        "\"bs=1048576\", \"count=360\"]' > " + dir() + "/quick/Dockerfile && chmod -R a+rX $d " + dir() + "/quick");
    ASSERT_EQ(made.exit_code, 0) << made.out;
    for (const auto* name : {"slow", "quick"}) {  // the slow one is unused for longer
      const auto built = build_of(name);
      ASSERT_EQ(built.exit_code, 0) << built.out;
    }
  }
  // The seconds that a plan says of the step, and whether it is an estimate: "8.2 false".
  [[nodiscard]] std::string planned_cost(const std::string& what) const {
    const auto text = run_shell("jq -r '[.. | objects | select(.why? // \"\" | contains(\"" + what +
                                "\")) | \"\\(.cost_seconds) \\(.cost_is_estimated)\"] | first // \"\"' <<'END'\n" +
                                reclaim(true) + "\nEND\n");
    return text.out;
  }
  [[nodiscard]] bool is_step_cached(const std::string& name, const std::string& step) const {
    const auto built = build_of(name);
    EXPECT_EQ(built.exit_code, 0) << built.out;
    const auto at = built.out.find(step);
    return at != std::string::npos && built.out.find("CACHED", at) != std::string::npos;
  }
  // Some bytes short of the target: less than the quick step has.
  void press() {
    std::this_thread::sleep_for(seconds{4});  // longer than keep_used_within
    fill_disk_until(number("/v1/disk", ".filesystems[0].marks.low_bytes") - kMiB);
    ASSERT_TRUE(eventually([this] { return !events("reclaim.done").empty() || !events("reclaim.short").empty(); }))
        << api("/v1/events?since=0");
  }
};

TEST_F(WorthOfSteps, ASlowStepOfSomeKilobytesStays) {
  build_slow_and_quick("value");
  ASSERT_TRUE(eventually([this] { return planned_cost("sleep 8").find("false") != std::string::npos; }))
      << reclaim(true) << api("/v1/events?since=0");
  const auto seconds_known = std::stod(planned_cost("sleep 8"));
  EXPECT_GE(seconds_known, 8);
  EXPECT_LE(seconds_known, 10) << "within 25 %";
  stop_daemon();
  DaemonOptions again;
  start_daemon(again);
  wait_until_warm();
  EXPECT_NE(planned_cost("sleep 8").find("false"), std::string::npos) << "it is known after a restart";
  press();
  EXPECT_TRUE(is_step_cached("slow", "sleep")) << api("/v1/events?since=0");
  EXPECT_FALSE(is_step_cached("quick", "\"dd\"")) << api("/v1/events?since=0");
}

TEST_F(WorthOfSteps, ByLastUseTheSlowStepGoes) {
  build_slow_and_quick("last_use");
  press();
  EXPECT_FALSE(is_step_cached("slow", "sleep")) << api("/v1/events?since=0");
}

}  // namespace
}  // namespace buildwarden::testing
