// The engine room against a real, private engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/engine_fixture.h"

namespace buildwarden::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class EngineIntegration : public testing::EngineFixture {
 protected:
  void build_on(Engine& engine) override {
    engine.on_lost([this](const std::string& reason) { losses_.push_back(reason); });
  }
  void on_event(const ports::EngineEvent& event) override { events_.push_back(event.type + " " + event.action); }
  void on_connected(const ports::EngineIdentity& identity, std::optional<Duration> gap) override {
    identities_.push_back(identity);
    gaps_.push_back(gap);
  }

  void until(const std::function<bool()>& done) { testing::run_until(loop_, done); }
  std::vector<std::string> tags() {
    std::vector<std::string> all;
    const auto images = run(engine_->list_images());
    EXPECT_TRUE(images) << (images ? "" : images.error().message());
    if (!images) return all;
    for (const auto& image : *images) all.insert(all.end(), image.tags.begin(), image.tags.end());
    return all;
  }
  void see_and_prune_the_build_cache();
  // A container of the test builder's image that only sleeps.
  ports::ContainerSpec sleeper(const std::string& name) {
    ports::ContainerSpec spec;
    spec.name = name;
    spec.image = "moby/buildkit:buildx-stable-1";
    spec.entrypoint = {"sleep"};
    spec.command = {"1000"};
    spec.labels = {{std::string(ports::kOwnerLabel), std::string(ports::kOwner)},
                   {std::string(ports::kSpecLabel), "7"}};
    spec.stop_signal = "SIGKILL";
    spec.network = "none";
    return spec;
  }
  std::vector<std::string> events_;
  std::vector<ports::EngineIdentity> identities_;
  std::vector<std::optional<Duration>> gaps_;
  std::vector<std::string> losses_;
};

TEST_F(EngineIntegration, KnowsWhoItTalksTo) {
  const auto identity = engine_->status().identity;
  EXPECT_EQ(identity.root_dir, dir() + "/disk/docker");
  EXPECT_EQ(identity.id + "\n", shell("docker info --format '{{.ID}}'"));
  EXPECT_EQ(identity.version + "\n", shell("docker version --format '{{.Server.Version}}'"));
  EXPECT_EQ(identity.api_version + "\n", shell("docker version --format '{{.Server.APIVersion}}'"));
  EXPECT_FALSE(identity.userns_remap);
  EXPECT_EQ(gaps_, std::vector<std::optional<Duration>>{std::nullopt});
}

TEST_F(EngineIntegration, ListsAndRemovesImagesByTag) {
  make_image("bw/one:1");
  shell("docker tag bw/one:1 bw/one:2");
  EXPECT_THAT(tags(), ::testing::UnorderedElementsAre("bw/one:1", "bw/one:2"));
  const auto id = run(engine_->image_id("bw/one:2"));
  ASSERT_TRUE(id) << id.error().message();
  EXPECT_THAT(*id, StartsWith("sha256:"));
  EXPECT_EQ(run(engine_->remove_image(*id)).error().code(), Errc::kConflict) << "two tags: not by id without force";
  EXPECT_TRUE(run(engine_->remove_image("bw/one:1")));
  EXPECT_THAT(tags(), ElementsAre("bw/one:2"));
  EXPECT_TRUE(run(engine_->remove_image("bw/one:2")));
  EXPECT_EQ(run(engine_->remove_image("bw/one:2")).error().code(), Errc::kNotFound);
  EXPECT_EQ(run(engine_->image_id("bw/one:2")).error().code(), Errc::kNotFound);
  EXPECT_THAT(tags(), ElementsAre());
}

TEST_F(EngineIntegration, ShowsDanglingImagesWithoutTags) {
  make_image("bw/same:1");
  make_image("bw/same:1");
  const auto images = run(engine_->list_images());
  ASSERT_TRUE(images) << images.error().message();
  ASSERT_EQ(images->size(), 2U);
  const auto dangling =
      std::find_if(images->begin(), images->end(), [](const auto& image) { return image.tags.empty(); });
  ASSERT_NE(dangling, images->end());
  EXPECT_GE(dangling->size, 200'000);
  EXPECT_TRUE(run(engine_->remove_image(dangling->id)));
  EXPECT_THAT(tags(), ElementsAre("bw/same:1"));
}

TEST_F(EngineIntegration, AContainersWholeLife) {
  load_builder_image();
  EXPECT_THAT(tags(), Contains("moby/buildkit:buildx-stable-1"));
  EXPECT_EQ(run(engine_->inspect_container("bw-life"))->state, policy::ContainerState::kMissing);
  const auto id = run(engine_->create_container(sleeper("bw-life")));
  ASSERT_TRUE(id) << id.error().message();
  EXPECT_EQ(run(engine_->create_container(sleeper("bw-life"))).error().code(), Errc::kConflict);
  auto absent = sleeper("bw-absent");
  absent.image = "bw/absent:1";
  EXPECT_EQ(run(engine_->create_container(absent)).error().code(), Errc::kNotFound);

  auto seen = run(engine_->inspect_container("bw-life"));
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(seen->state, policy::ContainerState::kCreated);
  EXPECT_EQ(seen->id, *id);
  EXPECT_TRUE(seen->ours);
  EXPECT_EQ(seen->spec_digest, "7");
  EXPECT_EQ(seen->image_id, *run(engine_->image_id("moby/buildkit:buildx-stable-1")));

  const auto started = run(engine_->act_on_container(*id, ports::ContainerVerb::kStart));
  ASSERT_TRUE(started) << started.error().message();
  EXPECT_TRUE(run(engine_->act_on_container(*id, ports::ContainerVerb::kStart))) << "running is fine";
  EXPECT_EQ(run(engine_->inspect_container("bw-life"))->state, policy::ContainerState::kRunning);
  EXPECT_EQ(run(engine_->remove_image("moby/buildkit:buildx-stable-1")).error().code(), Errc::kConflict) << "in use";

  shell("docker pause bw-life");
  EXPECT_EQ(run(engine_->inspect_container("bw-life"))->state, policy::ContainerState::kPaused);
  EXPECT_TRUE(run(engine_->act_on_container(*id, ports::ContainerVerb::kUnpause)));
  EXPECT_TRUE(run(engine_->act_on_container(*id, ports::ContainerVerb::kRestart)));
  EXPECT_EQ(run(engine_->inspect_container("bw-life"))->state, policy::ContainerState::kRunning);

  const auto containers = run(engine_->list_containers());
  ASSERT_TRUE(containers) << containers.error().message();
  ASSERT_EQ(containers->size(), 1U);
  EXPECT_EQ(containers->at(0).name, "bw-life");
  EXPECT_EQ(containers->at(0).image_id, seen->image_id);

  EXPECT_TRUE(run(engine_->act_on_container(*id, ports::ContainerVerb::kRemove)));
  EXPECT_EQ(run(engine_->act_on_container(*id, ports::ContainerVerb::kRemove)).error().code(), Errc::kNotFound);
  EXPECT_EQ(run(engine_->inspect_container("bw-life"))->state, policy::ContainerState::kMissing);
  EXPECT_THAT(events_, ::testing::IsSupersetOf({"image load", "container create", "container start", "container pause",
                                                "container unpause", "container destroy"}));
}

TEST_F(EngineIntegration, RunsCommandsInAContainer) {
  load_builder_image();
  const auto id = run(engine_->create_container(sleeper("bw-exec")));
  ASSERT_TRUE(id) << id.error().message();
  const std::vector<std::string> both = {"sh", "-c", "echo out; echo err >&2; exit 5"};
  EXPECT_EQ(run(engine_->exec_in_container("bw-exec", both, {})).error().code(), Errc::kConflict) << "not running";
  ASSERT_TRUE(run(engine_->act_on_container(*id, ports::ContainerVerb::kStart)));
  const auto result = run(engine_->exec_in_container("bw-exec", both, {}));
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->exit_code, 5);
  EXPECT_EQ(result->output, "out\n");
  EXPECT_EQ(result->errors, "err\n");
  const std::vector<std::string> much = {"sh", "-c", "head -c 2000000 /dev/zero"};
  const auto cut = run(engine_->exec_in_container("bw-exec", much, {}));
  ASSERT_TRUE(cut) << cut.error().message();
  EXPECT_EQ(cut->output.size(), 1024U * 1024U);
  EXPECT_TRUE(cut->cut);
  EXPECT_EQ(cut->exit_code, 0);
  const std::vector<std::string> absent = {"/no/such/program"};
  const auto failed = run(engine_->exec_in_container("bw-exec", absent, {}));
  EXPECT_TRUE(!failed || failed->exit_code == 126 || failed->exit_code == 127);
}

TEST_F(EngineIntegration, ComesBackToAnEngineThatWasKilled) {
  make_image("bw/before:1");
  until([this] { return !events_.empty(); });
  EXPECT_THAT(events_, Contains("image import"));
  kill_engine();
  until([this] { return !losses_.empty(); });
  EXPECT_FALSE(engine_->status().up);
  EXPECT_EQ(run(engine_->list_images()).error().code(), Errc::kUnavailable);
  start_engine();
  until([this] { return gaps_.size() == 2; });
  ASSERT_TRUE(gaps_[1].has_value());
  EXPECT_GT(*gaps_[1], 0ms);
  EXPECT_EQ(identities_[1], identities_[0]);
  EXPECT_EQ(losses_.size(), 1U);
  events_.clear();
  shell("docker tag bw/before:1 bw/after:1");
  until([this] { return !events_.empty(); });
  EXPECT_THAT(events_, ElementsAre("image tag"));
  EXPECT_THAT(tags(), ::testing::UnorderedElementsAre("bw/before:1", "bw/after:1"));
}

// Builds leave a tree of records; it is pruned by id, what has children or is young is passed over.
void EngineIntegration::see_and_prune_the_build_cache() {
  EXPECT_EQ(run(engine_->cache_records())->size(), 0U);
  shell(R"(for i in 1 2 3; do
    mkdir -p $DIR/context; head -c 3000000 /dev/urandom > $DIR/context/big; echo $i > $DIR/context/small
    printf 'FROM scratch\nCOPY big /big\nCOPY small /small\n' > $DIR/context/Dockerfile
    docker buildx build --provenance=false -q -o type=local,dest=$DIR/out $DIR/context
  done)");
  const auto records = run(engine_->cache_records());
  ASSERT_TRUE(records) << records.error().message();
  std::vector<std::string> leaves;
  std::vector<std::string> bases;
  for (const auto& record : *records) {
    EXPECT_FALSE(record.in_use) << record.id;
    EXPECT_LT(clock_.now().wall - record.last_used, 5min) << record.id;
    if (record.parents.empty()) continue;
    leaves.push_back(record.id);
    bases.push_back(record.parents.front());
  }
  ASSERT_EQ(leaves.size(), 3U) << "COPY small is built on COPY big";

  const auto prune = [this](std::vector<std::string> ids, Duration unused_for) {
    const auto pruned = run(engine_->prune_cache(std::move(ids), unused_for));
    EXPECT_TRUE(pruned) << pruned.error().message();
    return pruned ? *pruned : ports::CachePrune{};
  };
  const auto young = prune({leaves[0], bases[0]}, 1h);
  EXPECT_EQ(young.freed, 0) << "everything is younger";
  EXPECT_EQ(young.left, (std::set<std::string>{leaves[0], bases[0]}));
  const auto base = prune({bases[0]}, 0ms);
  EXPECT_EQ(base.freed, 0);
  EXPECT_EQ(base.left, std::set<std::string>{bases[0]}) << "it has a child";
  const auto chain = prune({leaves[0], bases[0], "gone"}, 0ms);
  EXPECT_GT(chain.freed, 2'900'000);
  EXPECT_TRUE(chain.left.empty());
  const auto left = run(engine_->cache_records());
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_EQ(left->size(), records->size() - 2) << "and nothing else";

  // What policy plans of it goes to the byte.
  const policy::CacheList list(*left);
  std::vector<std::string> all;
  Bytes planned = 0;
  for (const auto& step : policy::cache_steps(list.order(), {}, {}, clock_.now())) {
    planned += step.frees;
    all.insert(all.end(), step.ids.begin(), step.ids.end());
  }
  const auto rest = prune(all, 0ms);
  EXPECT_EQ(rest.freed, planned);
  EXPECT_TRUE(rest.left.empty());
  EXPECT_LE(run(engine_->cache_records())->size(), 1U) << "an empty record is no reason for a step";
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "builder prune"), 0) << "nobody listens for it";
}

TEST_F(EngineIntegration, SeesAndPrunesTheBuildCache) { see_and_prune_the_build_cache(); }

class OldEngineIntegration : public EngineIntegration {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return "--engine 20.10"; }
};

// There a record names one parent, under another key.
TEST_F(OldEngineIntegration, SeesAndPrunesTheBuildCache) { see_and_prune_the_build_cache(); }

// API 1.51, and the store that is the default of engine 29.
class NewEngineIntegration : public EngineIntegration {
  [[nodiscard]] std::string sandbox_options() const override { return "--engine 28.5 --image-store containerd"; }
};

TEST_F(NewEngineIntegration, SeesAndPrunesTheBuildCache) { see_and_prune_the_build_cache(); }

TEST_F(EngineIntegration, APullThatCannotSucceedSaysWhy) {
  const auto pulled = run(engine_->pull("127.0.0.1:9/bw/none:1"));
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().message(), HasSubstr("pulling 127.0.0.1:9/bw/none:1: "));
  EXPECT_THAT(pulled.error().message(), HasSubstr("refused"));
}

}  // namespace
}  // namespace buildwarden::engine
