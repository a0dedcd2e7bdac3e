// What is done to a builder, and what the job after it meets: with the daemon, and with buildx alone.
#include <csignal>
#include <cstdio>
#include <optional>
#include <sstream>
#include <thread>

#include "tests/support/sabotage_fixture.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

constexpr double kNanosecond = 1e-9;

struct Harm {
  std::string name;
  std::string command;  // CONTAINER and VOLUME stand for the builder's
};

// buildkitd alone: docker-init above it goes on, and so does what it has started.
const std::string kFreeze =
    "ns=$(readlink /proc/$(docker inspect -f '{{.State.Pid}}' CONTAINER)/ns/pid); frozen=; for p in /proc/[0-9]*; do "
    "if [ \"$(readlink $p/ns/pid)\" = \"$ns\" ] && [ \"$(cat $p/comm)\" = buildkitd ]; then kill -STOP ${p#/proc/}; "
    "frozen=yes; fi; done; [ \"$frozen\" = yes ]";

std::string with(std::string text, const std::string& word, const std::string& value) {
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + value.size())) {
    text.replace(at, word.size(), value);
  }
  return text;
}

class Sabotage : public SabotageFixture {
 protected:
  static constexpr const char* kPlain = "buildx_buildkit_plain0";

  void make_plain_builder() const {
    const auto made = engine_shell("docker buildx create --name plain --driver docker-container --bootstrap");
    ASSERT_EQ(made.exit_code, 0) << made.out;
    const auto built = plain_build();
    ASSERT_EQ(built.exit_code, 0) << built.out;
  }
  [[nodiscard]] CommandResult plain_build() const {
    return engine_shell("timeout 60 docker buildx build --builder plain --progress plain " + dir() + "/context");
  }
  [[nodiscard]] CommandResult harm(const Harm& what, const std::string& container, const std::string& volume) const {
    return engine_shell(with(with(what.command, "CONTAINER", container), "VOLUME", volume));
  }
  [[nodiscard]] std::size_t heals() const { return std::stoul("0" + query("/v1/builders/s3", ".heals")); }

  // The engine's own times: from the last event of the loss to the first of what was done about it, in seconds.
  [[nodiscard]] std::optional<double> reaction(const std::string& since) const {
    const auto events = engine_shell("docker events --since " + since +
                                     " --until $(date +%s.%N) --filter container=buildwarden_s3 "
                                     "--format '{{.TimeNano}} {{.Action}}'")
                            .out;
    std::istringstream lines(events);
    std::optional<double> lost;
    double at = 0;
    for (std::string action; lines >> at >> action;) {
      const bool loss = action == "die" || action == "pause" || action == "destroy";
      if (loss) lost = at;
      const bool cure = action == "start" || action == "unpause" || action == "create" || action == "restart";
      if (cure && lost) return (at - *lost) * kNanosecond;
    }
    return std::nullopt;
  }
  // Of the last healing, by the daemon's journal: from the news of it to the first step, and until it was whole again.
  [[nodiscard]] std::string healing() const {
    return query("/v1/events?since=0",
                 "[.events[] | select(.kind == \"builder.healed\")][-1].fields | "
                 "\"step after \\(.acted_seconds) s, whole after \\(.gone_seconds) s\"");
  }

  void compare(const std::string& name, const CommandResult& ours, const std::optional<double>& acted,
               const CommandResult& alone) const {
    std::printf("%-20s %s", name.c_str(), healing().c_str());
    if (acted) std::printf(" (the engine carried it out %.0f ms after its event)", *acted * 1e3);
    std::printf(", the next job %.2f s | buildx alone: %s %.2f s\n", ours.seconds,
                alone.exit_code == 0 ? "" : "fails after", alone.seconds);
  }

  // Ours first; the job comes as soon as it can.
  void try_harm(const Harm& what) {
    SCOPED_TRACE(what.name);
    const auto before = heals();
    const auto since = run_shell("printf %s $(date +%s.%N)").out;
    const auto done = harm(what, "buildwarden_s3", "buildwarden_s3");
    ASSERT_EQ(done.exit_code, 0) << done.out;
    const auto next = handed_out_build("after-" + what.name);
    EXPECT_EQ(next.exit_code, 0) << next.out;
    ASSERT_TRUE(eventually([&] { return heals() > before && builder_is_warm(); })) << api("/v1/builders");
    const auto cached = handed_out_build("again-" + what.name);
    EXPECT_EQ(cached.exit_code, 0) << cached.out;
    EXPECT_NE(cached.out.find("CACHED"), std::string::npos) << cached.out;
    EXPECT_EQ(harm(what, kPlain, std::string(kPlain) + "_state").exit_code, 0);
    const auto alone = plain_build();
    compare(what.name, next, reaction(since), alone);
    EXPECT_EQ(engine_shell("docker unpause " + std::string(kPlain) + " 2>/dev/null || true").exit_code, 0);
  }

  void try_engine_end(const std::string& signal) {
    SCOPED_TRACE(signal);
    ASSERT_EQ(run_shell(sandbox() + " engine-stop " + dir() + " " + signal).exit_code, 0);
    ASSERT_EQ(run_shell(sandbox() + " engine-start " + dir()).exit_code, 0);
    CommandResult alone;
    std::thread beside([&] { alone = plain_build(); });
    const auto next = handed_out_build("after-" + signal);
    beside.join();
    EXPECT_EQ(next.exit_code, 0) << next.out;
    ASSERT_TRUE(eventually([&] { return builder_is_warm(); })) << api("/v1/builders");
    compare("engine SIG" + signal, next, std::nullopt, alone);
  }
};

TEST_F(Sabotage, OfTheContainerOrTheEngineIsNotNoticedByTheNextJob) {
  start_daemon();
  wait_until_warm();
  ASSERT_NO_FATAL_FAILURE(make_plain_builder());
  ASSERT_EQ(handed_out_build("before").exit_code, 0);
  const Harm harms[] = {{"killed", "docker kill CONTAINER"},
                        {"stopped", "docker stop -t 1 CONTAINER"},
                        {"paused", "docker pause CONTAINER"},
                        {"removed", "docker rm -f CONTAINER"},
                        // The volume is in use again before it can be removed, unless somebody is very quick.
                        {"removed-with-volume", "docker rm -f CONTAINER; docker volume rm -f VOLUME || true"}};
  for (const auto& harm : harms) ASSERT_NO_FATAL_FAILURE(try_harm(harm));
  for (const std::string signal : {"TERM", "KILL"}) ASSERT_NO_FATAL_FAILURE(try_engine_end(signal));
}

// SIGSTOP of buildkitd: connections are accepted and never answered. Jobs are told so instead of being handed it.
TEST_F(Sabotage, AFrozenBuilderIsRestarted) {
  start_daemon();
  wait_until_warm();
  ASSERT_NO_FATAL_FAILURE(make_plain_builder());
  ASSERT_EQ(handed_out_build("before").exit_code, 0);
  const auto started = inspected("buildwarden_s3", "{{.State.StartedAt}}");
  const Harm freeze{"frozen", kFreeze};
  ASSERT_EQ(harm(freeze, "buildwarden_s3", "").exit_code, 0);
  const auto frozen_at = std::chrono::steady_clock::now();
  const auto told = job_shell(
      "buildwarden job start --id meanwhile --use s3 > $DOCKER_CONFIG/script 2>&1; cat $DOCKER_CONFIG/script");
  EXPECT_NE(told.out.find("builder s3 is not handed out: the process "), std::string::npos) << told.out;
  EXPECT_EQ(told.out.find("BUILDX_BUILDER"), std::string::npos) << told.out;
  EXPECT_LT(std::chrono::steady_clock::now() - frozen_at, seconds{10}) << "a build would have hung for 40 s";
  EXPECT_EQ(harm(freeze, kPlain, "").exit_code, 0);
  const auto alone = plain_build();
  EXPECT_NE(alone.exit_code, 0) << "else this is no hang: " << alone.out;
  ASSERT_TRUE(eventually([&] { return heals() == 1 && builder_is_warm(); })) << api("/v1/builders");
  std::printf("frozen: restarted and warm again %.1f s after SIGSTOP\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - frozen_at).count());
  EXPECT_NE(inspected("buildwarden_s3", "{{.State.StartedAt}}"), started);
  EXPECT_NE(events("builder.healed").find("\"frozen\""), std::string::npos) << events("builder.healed");
  const auto next = handed_out_build("after");
  EXPECT_EQ(next.exit_code, 0) << next.out;
  EXPECT_NE(next.out.find("CACHED"), std::string::npos) << next.out;
  compare("frozen", next, std::nullopt, alone);
}

// A cache that its BuildKit cannot start on: the builder gets a fresh one, and the old one is there for people.
TEST_F(Sabotage, ADamagedCacheIsSetAside) {
  start_daemon();
  wait_until_warm();
  const auto data = dir() + "/disk/docker/volumes/buildwarden_s3/_data";
  const auto damaged = engine_shell("docker stop -t 1 buildwarden_s3; for f in " + data +
                                    "/*; do if [ -d $f ]; then rm -rf --one-file-system $f; touch $f; fi; done; "
                                    "docker kill buildwarden_s3 || true");
  ASSERT_EQ(damaged.exit_code, 0) << damaged.out;
  ASSERT_TRUE(eventually([&] { return !events("builder.fresh_volume").empty() && builder_is_warm(); }))
      << api("/v1/builders");
  EXPECT_EQ(query("/v1/builders/s3", ".volume"), "buildwarden_s3_2");
  EXPECT_EQ(engine_shell("docker volume inspect buildwarden_s3 buildwarden_s3_2").exit_code, 0);
  EXPECT_EQ(handed_out_build("after").exit_code, 0);
  EXPECT_EQ(stop_daemon(), 0);
  ASSERT_EQ(engine_shell("docker rm -f buildwarden_s3").exit_code, 0);
  start_daemon();
  wait_until_warm();
  EXPECT_EQ(query("/v1/builders/s3", ".volume"), "buildwarden_s3_2") << "remembered without its container";
}

}  // namespace
}  // namespace buildwarden::testing
