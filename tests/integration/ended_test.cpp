// Step 2 of the ladder against a real, private engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "daemon/evictors/containers.h"
#include "daemon/evictors/networks.h"
#include "daemon/last_use/network_use.h"
#include "tests/support/engine_fixture.h"

namespace buildwarden::disk {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class NothingHeld final : public ports::InUse {
 public:
  [[nodiscard]] ports::InUseSet now() const override { return {}; }
};

class EndedIntegration : public testing::EngineFixture {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) load_builder_image();
  }
  void build_on(engine::Engine& engine) override {
    containers_ = std::make_unique<EndedContainers>(EndedContainers::Parts{
        engine, engine, engine, nothing_, clock_, [] { return true; }, [](ports::Kept) { return std::string("7:1"); }});
    networks_ = std::make_unique<EmptyNetworks>(EmptyNetworks::Parts{engine, engine, engine, use_, clock_});
  }
  void on_event(const ports::EngineEvent& event) override { use_.on_event(event); }
  void on_connected(const ports::EngineIdentity& /*identity*/, std::optional<Duration> /*gap*/) override {
    use_.on_connected();
  }
  // What the rung would take, once the youngest of them is a second old.
  std::vector<policy::Candidate> plan(ports::Evictor& rung) {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    const auto until = std::chrono::steady_clock::now() + testing::kTestPatience;
    for (;;) {
      auto listed = run(rung.list(turn_));
      EXPECT_TRUE(listed) << listed.error().message();
      if (!listed) return {};
      auto ranking = policy::rank(*std::move(listed), rules, clock_.now());
      const bool waits = std::any_of(ranking.skipped.begin(), ranking.skipped.end(),
                                     [](const auto& skipped) { return skipped.rule == "age"; });
      if (!waits || std::chrono::steady_clock::now() > until) return ranking.order;
    }
  }
  static std::vector<std::string> names(const std::vector<policy::Candidate>& candidates) {
    std::vector<std::string> all;
    for (const auto& candidate : candidates) all.push_back(candidate.name);
    return all;
  }
  static policy::Candidate named(const std::vector<policy::Candidate>& candidates, const std::string& part) {
    for (const auto& candidate : candidates) {
      if (candidate.name.find(part) != std::string::npos) return candidate;
    }
    ADD_FAILURE() << "no candidate " << part;
    return {};
  }
  std::string create(const std::string& name, const std::string& more = "") {
    return shell("docker create --network none --stop-signal KILL --name " + name + " " + more +
                 " --entrypoint sh moby/buildkit:buildx-stable-1 -c 'head -c 5000000 /dev/zero > /big; sleep 1000'");
  }
  void run_and_end(const std::string& name) {
    shell("docker start " + name + "; until docker exec " + name +
          " sh -c 'test $(stat -c %s /big) = 5000000'; do :; "
          "done; docker kill " +
          name);
  }
  std::string all_containers() { return shell("docker ps -a --format '{{.Names}}' | sort"); }

  NothingHeld nothing_;
  NetworkUse use_{clock_};
  std::unique_ptr<EndedContainers> containers_;
  std::unique_ptr<EmptyNetworks> networks_;
  policy::RungTurn turn_{policy::RungId::kContainers, 1, 1s};
};

TEST_F(EndedIntegration, OnlyEndedContainersGoAndTheirNamedVolumesStay) {
  create("bw-ended", "-v /kept -v bw-named:/named");
  create("bw-never");
  create("bw-runs");
  create("bw-service", "--restart unless-stopped");
  create("bw-ours", "--label com.buildwarden.owner=buildwarden");
  create("buildx_buildkit_job0");
  for (const char* name : {"bw-ended", "bw-service", "bw-ours", "buildx_buildkit_job0"}) run_and_end(name);
  shell("docker start bw-runs");
  // All but what bw-ended has without a name: for its own -v, and for the VOLUME of its image.
  const auto volumes = shell(
      "comm -23 <(docker volume ls -q | sort) "
      "<(docker inspect -f '{{range .Mounts}}{{println .Name}}{{end}}' bw-ended | grep -x '[0-9a-f]*' | sort)");

  const auto candidates = plan(*containers_);
  EXPECT_THAT(names(candidates),
              UnorderedElementsAre("container bw-ended (exited, with its anonymous volumes)",
                                   "container bw-never (never started, with its anonymous volumes)"));
  EXPECT_GE(named(candidates, "bw-ended").size, 5'000'000);
  shell("docker start bw-never");
  auto taken = run(containers_->evict(named(candidates, "bw-never"), turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "it runs again");
  taken = run(containers_->evict(named(candidates, "bw-ended"), turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "");
  EXPECT_EQ(all_containers(), "buildx_buildkit_job0\nbw-never\nbw-ours\nbw-runs\nbw-service\n");
  EXPECT_EQ(shell("docker volume ls -q | sort"), volumes);
  EXPECT_THAT(volumes, HasSubstr("bw-named"));

  EXPECT_EQ(run(engine_->remove_ended_container("bw-runs")).error().code(), Errc::kConflict) << "never by force";
  taken = run(containers_->evict(named(candidates, "bw-ended"), turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "already gone");
}

TEST_F(EndedIntegration, OnlyEmptyNetworksGo) {
  shell(
      "docker network create bw-empty; docker network create bw-stopped; docker network create bw-running; "
      "docker network create --label com.docker.compose.project=shop bw-shop");
  shell("docker create --network bw-stopped --name bw-on-stopped --entrypoint sleep moby/buildkit:buildx-stable-1 9");
  shell(
      "docker run -d --network bw-running --name bw-on-running --entrypoint sleep moby/buildkit:buildx-stable-1 1000");
  create("bw-of-shop", "--label com.docker.compose.project=shop");
  const auto candidates = plan(*networks_);
  EXPECT_THAT(names(candidates), UnorderedElementsAre("network bw-empty"));

  const auto running = shell("docker network inspect -f '{{.Id}}' bw-running | tr -d '\\n'");
  EXPECT_EQ(run(engine_->remove_network(running)).error().code(), Errc::kDenied);
  EXPECT_EQ(run(engine_->remove_network("bridge")).error().code(), Errc::kDenied);

  shell("docker create --network bw-empty --name bw-late --entrypoint sleep moby/buildkit:buildx-stable-1 9");
  auto taken = run(networks_->evict(named(candidates, "bw-empty"), turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "in use by container bw-late");
  shell("docker rm bw-late");
  taken = run(networks_->evict(named(candidates, "bw-empty"), turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "");
  const auto left = shell("docker network ls --format '{{.Name}}'");
  EXPECT_THAT(left, Not(HasSubstr("bw-empty")));
  for (const char* name : {"bw-stopped", "bw-running", "bw-shop"}) EXPECT_THAT(left, HasSubstr(name));
}

// A network that was used is new again: the engine's own event says so.
TEST_F(EndedIntegration, AUseOfANetworkIsNoticed) {
  shell("docker network create bw-net");
  EXPECT_THAT(names(plan(*networks_)), Contains("network bw-net"));
  const auto before = clock_.now();
  shell("docker run --rm --network bw-net --entrypoint sleep moby/buildkit:buildx-stable-1 0");
  policy::LastUse use;
  testing::run_until(loop_, [&] {
    const auto networks = run(engine_->list_networks());
    for (const auto& network : *networks) {
      if (network.name == "bw-net") use = use_.last_use(network, clock_.now());
    }
    return use.at >= before.wall;
  });
  EXPECT_LE(use.observed, clock_.now().boot - before.boot) << "since that use";
}

}  // namespace
}  // namespace buildwarden::disk
