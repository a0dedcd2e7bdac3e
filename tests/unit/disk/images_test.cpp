#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "daemon/evictors/images.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/last_use/savings_ledger.h"
#include "daemon/last_use/worth_ledger.h"
#include "daemon/policy/image_names.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using testing::run_on;
using testing::run_void;

class ImageEvictorsTest : public ::testing::Test {
 protected:
  ImageEvictorsTest() {
    engine_.add_image("sha256:old", {"old:1", "old:2"}, 100);
    engine_.add_image("sha256:dangling", {}, 50);
    run_void(loop_, ledger_.connected(engine_.engine.identity, std::nullopt));
    testing::run_void(loop_, ledger_.seen(engine_.ids()));
    clock_.advance(hours{5});
  }
  ImageInUseCheck::Parts parts() {
    return ImageInUseCheck::Parts{engine_, engine_, engine_, engine_, ledger_, clock_, Duration{0}};
  }
  std::vector<policy::Candidate> list(ports::Evictor& rung) {
    auto candidates = run_on(loop_, rung.list(turn_));
    EXPECT_TRUE(candidates) << candidates.error().message();
    if (!candidates) return {};
    beside_ = static_cast<std::size_t>(std::erase_if(*candidates, [](const auto& one) { return one.is_beside; }));
    return *std::move(candidates);
  }
  // The only candidate, planned now and taken after `meanwhile`.
  ports::EvictionResult plan_and_take(ports::Evictor& rung, const std::function<void()>& meanwhile) {
    const auto candidates = list(rung);
    EXPECT_EQ(candidates.size(), 1U);
    meanwhile();
    const auto taken = run_on(loop_, rung.evict(candidates.at(0), turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? *taken : ports::EvictionResult{};
  }

  testing::FakeClock clock_;
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  boost::asio::io_context connecting_;  // beside the loop that waits
  LastUseLedger ledger_{clock_, store_, journal_};
  UnusedImages unused_{parts()};
  DanglingImages dangling_{parts()};
  policy::RungTurn turn_{policy::RungId::kImages, 1, hours{4}};
  std::size_t beside_ = 0;  // how many the last list() had that are another rung's
};

TEST_F(ImageEvictorsTest, CandidatesCarryLastUseUsersAndProtection) {
  engine_.add_image("sha256:web", {"web:1"}, 10);
  engine_.add_image("sha256:kit", {"moby/buildkit:buildx-stable-1"}, 10);
  engine_.add_image("sha256:named", {"named:1"}, 10);
  engine_.add_container("web", "sha256:web", policy::ContainerState::kExited);
  engine_.add_container("by-name", "");
  engine_.containers.back().image = "docker.io/library/named:1";
  engine_.in_use_set.image_references.insert("docker.io/moby/buildkit:buildx-stable-1");
  const auto candidates = list(unused_);
  ASSERT_EQ(candidates.size(), 4U) << "and the dangling one beside them";
  EXPECT_EQ(candidates[0].id, "sha256:old");
  EXPECT_EQ(candidates[0].last_use.observed, hours{5});
  EXPECT_EQ(candidates[0].references, (std::vector<std::string>{"old:1", "old:2"}));
  EXPECT_EQ(candidates[0].in_use_by, "");
  EXPECT_EQ(candidates[1].in_use_by, "container web");
  EXPECT_EQ(candidates[2].protected_as, "held as docker.io/moby/buildkit:buildx-stable-1");
  EXPECT_EQ(candidates[3].in_use_by, "container by-name") << "what a container names is its, whatever id is told";
  ASSERT_EQ(list(dangling_).size(), 1U);
}

// Issue 18: used alike, the one that a slow registry has stays longer; by last use nothing of it is asked.
TEST_F(ImageEvictorsTest, ImagesAreValuedByWhatTheyCostToGetBack) {
  testing::FakeWorthStore store;
  WorkerPool workers{1};
  WorthLedger worth({clock_, store, workers});
  run_void(loop_, worth.connected(engine_.engine.identity));
  Settings settings;
  UnusedImages rung(parts(), {&worth, settings, workers});
  engine_.add_image("sha256:slow", {"slow:5000/a:1"}, kGiB);
  engine_.add_image("sha256:fast", {"fast:5000/a:1"}, kGiB);
  worth.pulled("slow:5000/a:1", std::chrono::seconds{300});
  worth.pulled("fast:5000/a:1", std::chrono::seconds{3});
  run_void(loop_, worth.seen(std::make_shared<const std::vector<ports::ImageRecord>>(engine_.images)));
  for (const auto* id : {"sha256:slow", "sha256:fast"}) worth.used(id, clock_.now().wall);
  const auto candidates = list(rung);
  ASSERT_EQ(candidates.size(), 3U);
  ASSERT_TRUE(candidates[1].value && candidates[2].value);
  EXPECT_DOUBLE_EQ(candidates[1].value->seconds, 300);
  EXPECT_FALSE(candidates[1].value->is_estimated);
  EXPECT_GT(candidates[1].value->worth, candidates[2].value->worth);
  settings.disk.rank_by = RankBy::kLastUse;
  EXPECT_FALSE(list(rung)[1].value);
}

TEST_F(ImageEvictorsTest, AnImageThatIsPulledAgainIsRegretted) {
  testing::FakeWorthStore store;
  WorkerPool workers{1};
  SavingsLedger savings({clock_, store});
  run_void(loop_, savings.load());
  WorthLedger worth({clock_, store, workers, &savings});
  run_void(loop_, worth.connected(engine_.engine.identity));
  Settings settings;
  UnusedImages rung(parts(), {&worth, settings, workers, &worth});
  const auto see = [&] {
    run_void(loop_, worth.seen(std::make_shared<const std::vector<ports::ImageRecord>>(engine_.images)));
  };
  worth.pulled("old:1", std::chrono::seconds{30});
  const auto images = engine_.images;
  see();
  const auto candidates = list(rung);
  ASSERT_FALSE(candidates.empty());
  ASSERT_TRUE(run_on(loop_, rung.evict(candidates[0], turn_)));
  see();
  engine_.images = images;
  see();
  EXPECT_DOUBLE_EQ(savings.savings_view().host->at(0).regretted.total.seconds, 30);
}

// Directly after a start the ledger is still being read: the ladder must not begin at the rung after the images.
TEST_F(ImageEvictorsTest, OfADryRunImagesAreListedOnceAndTheirUsersEachTime) {
  turn_.found = std::make_shared<policy::DryRunCache>();
  EXPECT_EQ(list(unused_).at(0).in_use_by, "");
  engine_.fail.emplace("list", Error(Errc::kTimeout, "asked again"));
  engine_.add_container("web", "sha256:old");
  EXPECT_EQ(list(dangling_).size(), 1U);
  EXPECT_EQ(list(unused_).at(0).in_use_by, "container web");
  turn_.found.reset();
  EXPECT_FALSE(run_on(loop_, unused_.list(turn_))) << "a climb in earnest asks each time";
}

TEST_F(ImageEvictorsTest, APlanWaitsForALedgerThatIsJustBeingConnected) {
  ledger_.lost();
  EXPECT_EQ(run_on(loop_, unused_.list(turn_)).error().code(), Errc::kUnavailable);
  auto patient = parts();
  patient.ledger_patience = std::chrono::seconds{20};
  UnusedImages unused(patient);
  int looks = 0;
  engine_.on_status = [&] {
    if (++looks == 3) testing::run_void(connecting_, ledger_.connected(engine_.engine.identity, Duration{1}));
  };
  EXPECT_EQ(list(unused).size(), 1U);
  ledger_.lost();
  engine_.on_status = [&] { engine_.engine.up = false; };
  EXPECT_EQ(run_on(loop_, unused.list(turn_)).error().code(), Errc::kUnavailable) << "not for an engine that is away";
}

TEST_F(ImageEvictorsTest, EveryReferenceOfAnUnusedImageIsRemovedByName) {
  const auto taken = plan_and_take(unused_, [] {});
  EXPECT_EQ(taken.dropped, "");
  EXPECT_EQ(taken.reported, 100);
  EXPECT_EQ(engine_.removed, (std::vector<std::string>{"old:1", "old:2"}));
}

TEST_F(ImageEvictorsTest, ADanglingImageIsRemovedById) {
  EXPECT_EQ(plan_and_take(dangling_, [] {}).dropped, "");
  EXPECT_EQ(engine_.removed, (std::vector<std::string>{"sha256:dangling"}));
}

// ---- names by digest

class DigestTest : public ImageEvictorsTest {
 protected:
  DigestTest() {
    engine_.images.clear();
    engine_.add_image("sha256:8b9fe6824b3d0000", {}, 100);
    engine_.images[0].digests = {kTool};
    run_void(loop_, ledger_.seen(engine_.ids()));
    clock_.advance(hours{5});
  }
  static constexpr const char* kTool = "r:5000/team/tool@sha256:74e7";
  [[nodiscard]] std::vector<policy::Skipped> skipped(const std::string& keep) {
    policy::EvictionRules rules;
    rules.keep = {keep};
    return policy::rank(list(unused_), rules, clock_.now()).skipped;
  }
};

TEST_F(DigestTest, AnImageWithADigestAloneHasAName) {
  EXPECT_TRUE(list(dangling_).empty());
  EXPECT_EQ(beside_, 1U);
  const auto candidates = list(unused_);
  ASSERT_EQ(candidates.size(), 1U);
  EXPECT_EQ(candidates[0].name, kTool);
  EXPECT_EQ(candidates[0].references, std::vector<std::string>{kTool});
  EXPECT_EQ(plan_and_take(unused_, [] {}).dropped, "");
  EXPECT_EQ(engine_.removed, std::vector<std::string>{kTool});
}

TEST_F(DigestTest, ItIsKeptByThatName) {
  for (const std::string pattern :
       {"r:5000/team/tool*", "r:5000/team/tool", "r:5000/team/tool:1@sha256:74e7", "8b9f"}) {
    const auto all = skipped(pattern);
    ASSERT_EQ(all.size(), 1U) << pattern;
    EXPECT_EQ(all[0].rule, "keep") << pattern;
  }
}

TEST_F(DigestTest, ItIsHeldAndUsedByThatName) {
  engine_.in_use_set.image_references = {"r:5000/team/tool:1@sha256:74e7"};
  EXPECT_EQ(list(unused_).at(0).protected_as, "held as r:5000/team/tool:1@sha256:74e7");
  engine_.in_use_set.image_references = {"sha256:8b9fe6824b3d0000"};
  EXPECT_EQ(list(unused_).at(0).protected_as, "held as sha256:8b9fe6824b3d0000");
  engine_.add_container("web", "");
  engine_.containers.back().image = "r:5000/team/tool:1@sha256:74e7";
  EXPECT_EQ(list(unused_).at(0).in_use_by, "container web");
}

TEST_F(DigestTest, WhatAContainerMountsIsInUse) {
  engine_.add_container("web", "sha256:another", policy::ContainerState::kCreated);
  for (const std::string name : {kTool, "r:5000/team/tool:1@sha256:74e7", "8b9f", "sha256:8b9fe6824b3d0000"}) {
    engine_.containers.back().mounted_images = {name};
    EXPECT_EQ(list(unused_).at(0).in_use_by, "container web") << name;
  }
  engine_.containers.back().mounted_images = {"8b9e"};
  EXPECT_EQ(list(unused_).at(0).in_use_by, "");
}

// An engine drops the digests of a repository with its last tag.
TEST_F(DigestTest, ADigestThatWentWithItsTagIsNoObstacle) {
  engine_.images[0].tags = {"r:5000/team/tool:1", "other:1"};
  engine_.images[0].digests = {kTool, "third@sha256:74e7"};
  EXPECT_EQ(plan_and_take(unused_, [] {}).dropped, "");
  EXPECT_EQ(engine_.removed, (std::vector<std::string>{"r:5000/team/tool:1", "other:1", "third@sha256:74e7"}));
  EXPECT_TRUE(engine_.images.empty());
}

TEST_F(DigestTest, ADanglingImageThatWasPulledByDigestMeanwhileIsLeftAlone) {
  engine_.images[0].digests.clear();
  const auto taken = plan_and_take(dangling_, [this] { engine_.images[0].digests = {kTool}; });
  EXPECT_EQ(taken.dropped, std::string("it has a name now: ") + kTool);
}

// ---- what is built on it

class BuiltOnTest : public ImageEvictorsTest {
 protected:
  BuiltOnTest() {
    engine_.images.clear();
    engine_.add_image("sha256:toolchain", {"toolchain:7"}, 600);
    engine_.add_image("sha256:app", {"app:1"}, 700);
    engine_.images[0].layers = {1};
    engine_.images[1].layers = {1, 2};
    run_void(loop_, ledger_.seen(engine_.ids()));
    clock_.advance(hours{5});
  }
  std::vector<policy::Candidate> order() {
    policy::EvictionRules rules;
    rules.age = hours{4};
    return policy::rank(list(unused_), rules, clock_.now()).order;
  }
};

TEST_F(BuiltOnTest, WhatIsBuiltOnGoesAfterIt) {
  const auto all = order();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "app:1");
  EXPECT_EQ(all[0].size, 100);
  for (const auto& one : all) EXPECT_EQ(run_on(loop_, unused_.evict(one, turn_))->dropped, "");
  EXPECT_EQ(engine_.removed, (std::vector<std::string>{"app:1", "toolchain:7"}));
}

TEST_F(BuiltOnTest, AUseOfWhatIsBuiltOnItSinceThePlanStopsTheDeletion) {
  const auto all = order();
  ledger_.used("sha256:app", clock_.now().wall, "container start");
  const auto taken = run_on(loop_, unused_.evict(all.at(1), turn_));
  EXPECT_NE(taken->dropped.find("app:1, which is built on it, was used since the plan"), std::string::npos)
      << taken->dropped;
  EXPECT_TRUE(engine_.removed.empty());
}

TEST_F(BuiltOnTest, WhatIsStillThereHoldsWhatItIsBuiltOn) {
  const auto all = order();
  engine_.fail.emplace("remove", Error(Errc::kConflict, "409"));
  EXPECT_NE(run_on(loop_, unused_.evict(all.at(0), turn_))->dropped, "");
  engine_.fail.clear();
  engine_.removed.clear();
  EXPECT_EQ(run_on(loop_, unused_.evict(all.at(1), turn_))->dropped, "app:1, which is built on it, is there still");
  EXPECT_TRUE(engine_.removed.empty());
}

TEST_F(BuiltOnTest, ADryRunDoesNotCountWhatItPretendsToHaveDeleted) {
  auto pretended = std::make_shared<policy::DryRunState>();
  pretended->ids.insert("sha256:app");
  turn_.pretended = pretended;
  const auto all = order();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].size, 600);
}

struct Meanwhile {
  std::string name;
  std::function<void(testing::FakeImageEngine&, LastUseLedger&, const Clock&)> happens;
  std::string dropped;
};

class DroppedTest : public ImageEvictorsTest, public ::testing::WithParamInterface<Meanwhile> {};

TEST_P(DroppedTest, AnUnusedImageIsLeftAlone) {
  const auto taken = plan_and_take(unused_, [this] { GetParam().happens(engine_, ledger_, clock_); });
  EXPECT_NE(taken.dropped.find(GetParam().dropped), std::string::npos) << taken.dropped;
  EXPECT_TRUE(engine_.removed.empty());
}

TEST_P(DroppedTest, ADanglingImageIsLeftAlone) {
  for (auto& image : engine_.images) image.id = image.tags.empty() ? "sha256:none" : image.id;
  engine_.images[0].tags.clear();
  engine_.images[1].tags.emplace_back("none:1");
  const auto taken = plan_and_take(dangling_, [this] { GetParam().happens(engine_, ledger_, clock_); });
  EXPECT_NE(taken.dropped, "");
  EXPECT_TRUE(engine_.removed.empty());
}

INSTANTIATE_TEST_SUITE_P(
    AllReasons, DroppedTest,
    ::testing::Values(
        Meanwhile{"Tagged",
                  [](auto& engine, auto&, const auto&) {
                    engine.images[0].tags = {"old:2"};
                    engine.add_image("sha256:new", {"old:1"}, 1);
                  },
                  "old:1 names sha256:new now"},
        Meanwhile{"Gone", [](auto& engine, auto&, const auto&) { engine.images.clear(); }, "old:1 is gone"},
        Meanwhile{"Started", [](auto& engine, auto&, const auto&) { engine.add_container("job", "sha256:old"); },
                  "in use by container job"},
        Meanwhile{"Created",
                  [](auto& engine, auto&, const auto&) {
                    engine.add_container("job", "sha256:old", policy::ContainerState::kCreated);
                  },
                  "in use by container job"},
        Meanwhile{"Held", [](auto& engine, auto&, const auto&) { engine.in_use_set.image_references = {"sha256:old"}; },
                  "held as sha256:old"},
        Meanwhile{"Used",
                  [](auto&, auto& ledger, const auto& clock) {
                    ledger.used("sha256:old", clock.now().wall, "container start");
                  },
                  "used since the plan"},
        Meanwhile{"Swapped", [](auto& engine, auto&, const auto&) { engine.engine.identity.id = "engine-2"; },
                  "another engine answers now"},
        Meanwhile{"Moved", [](auto& engine, auto&, const auto&) { engine.engine.identity.root_dir = "/elsewhere"; },
                  "another engine answers now"},
        Meanwhile{"Lost", [](auto&, auto& ledger, const auto&) { ledger.lost(); }, "lost track"},
        Meanwhile{"Down", [](auto& engine, auto&, const auto&) { engine.engine.up = false; }, "the engine went down"}),
    [](const auto& one) { return one.param.name; });

TEST_F(ImageEvictorsTest, ConflictIsAResultAndOtherErrorsAreErrors) {
  engine_.fail.emplace("remove", Error(Errc::kConflict, "409"));
  EXPECT_EQ(plan_and_take(unused_, [] {}).dropped, "the engine says it is in use: 409");
  engine_.fail.clear();
  engine_.fail.emplace("remove", Error(Errc::kTimeout, "slow"));
  const auto candidates = list(unused_);
  const auto taken = run_on(loop_, unused_.evict(candidates.at(0), turn_));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), Errc::kTimeout);
}

TEST_F(ImageEvictorsTest, AUseBetweenTwoReferencesStopsTheSecond) {
  engine_.before_remove = [this] { ledger_.used("sha256:old", clock_.now().wall, "container start"); };
  const auto taken = plan_and_take(unused_, [] {});
  EXPECT_NE(taken.dropped.find("1 of its names were removed before"), std::string::npos) << taken.dropped;
  EXPECT_EQ(engine_.removed.size(), 1U);
}

TEST_F(ImageEvictorsTest, WithoutKnowingWhoUsesWhatNothingIsListed) {
  engine_.fail.emplace("containers", Error(Errc::kTimeout, "slow"));
  EXPECT_FALSE(run_on(loop_, unused_.list(turn_)));
  engine_.fail.clear();
  engine_.engine.identity.id = "engine-2";
  const auto listed = run_on(loop_, unused_.list(turn_));
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code(), Errc::kUnavailable);
}

}  // namespace
}  // namespace buildwarden::disk
