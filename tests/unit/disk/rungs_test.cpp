#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "daemon/disk/image_rungs.h"
#include "daemon/disk/references.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using testing::run_on;
using testing::run_void;

class RungTest : public ::testing::Test {
 protected:
  RungTest() {
    engine_.add_image("sha256:old", {"old:1", "old:2"}, 100);
    engine_.add_image("sha256:dangling", {}, 50);
    run_void(loop_, ledger_.connected(engine_.engine.identity, std::nullopt));
    testing::run_void(loop_, ledger_.seen(engine_.ids()));
    clock_.advance(hours{5});
  }
  ImageGuard::Parts parts() {
    return ImageGuard::Parts{engine_, engine_, engine_, engine_, ledger_, clock_, Duration{0}};
  }
  std::vector<policy::Candidate> list(ports::Rung& rung) {
    auto candidates = run_on(loop_, rung.list(turn_));
    EXPECT_TRUE(candidates) << candidates.error().message();
    return candidates ? *candidates : std::vector<policy::Candidate>{};
  }
  // The only candidate, planned now and taken after `meanwhile`.
  ports::Rung::Taken plan_and_take(ports::Rung& rung, const std::function<void()>& meanwhile) {
    const auto candidates = list(rung);
    EXPECT_EQ(candidates.size(), 1U);
    meanwhile();
    const auto taken = run_on(loop_, rung.take(candidates.at(0), turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? *taken : ports::Rung::Taken{};
  }

  testing::FakeClock clock_;
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  boost::asio::io_context connecting_;  // beside the loop that waits
  Ledger ledger_{clock_, store_, journal_};
  UnusedImages unused_{parts()};
  DanglingImages dangling_{parts()};
  policy::RungTurn turn_{policy::RungId::kImages, 1, hours{4}};
};

TEST_F(RungTest, CandidatesCarryLastUseUsersAndProtection) {
  engine_.add_image("sha256:web", {"web:1"}, 10);
  engine_.add_image("sha256:kit", {"moby/buildkit:buildx-stable-1"}, 10);
  engine_.add_image("sha256:named", {"named:1"}, 10);
  engine_.add_container("web", "sha256:web", policy::ContainerState::kExited);
  engine_.add_container("by-name", "");
  engine_.containers.back().image = "docker.io/library/named:1";
  engine_.holdings.image_references.insert("docker.io/moby/buildkit:buildx-stable-1");
  const auto candidates = list(unused_);
  ASSERT_EQ(candidates.size(), 4U);
  EXPECT_EQ(candidates[0].id, "sha256:old");
  EXPECT_EQ(candidates[0].last_use.observed, hours{5});
  EXPECT_EQ(candidates[0].references, (std::vector<std::string>{"old:1", "old:2"}));
  EXPECT_EQ(candidates[0].in_use_by, "");
  EXPECT_EQ(candidates[1].in_use_by, "container web");
  EXPECT_EQ(candidates[2].protected_as, "held as docker.io/moby/buildkit:buildx-stable-1");
  EXPECT_EQ(candidates[3].in_use_by, "container by-name") << "what a container names is its, whatever id is told";
  ASSERT_EQ(list(dangling_).size(), 1U);
}

// Directly after a start the ledger is still being read: the ladder must not begin at the rung after the images.
TEST_F(RungTest, OfADryRunImagesAreListedOnceAndTheirUsersEachTime) {
  turn_.found = std::make_shared<policy::Findings>();
  EXPECT_EQ(list(unused_).at(0).in_use_by, "");
  engine_.fail.emplace("list", Error(Errc::kTimeout, "asked again"));
  engine_.add_container("web", "sha256:old");
  EXPECT_EQ(list(dangling_).size(), 1U);
  EXPECT_EQ(list(unused_).at(0).in_use_by, "container web");
  turn_.found.reset();
  EXPECT_FALSE(run_on(loop_, unused_.list(turn_))) << "a climb in earnest asks each time";
}

TEST_F(RungTest, APlanWaitsForALedgerThatIsJustBeingConnected) {
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

TEST_F(RungTest, EveryReferenceOfAnUnusedImageIsRemovedByName) {
  const auto taken = plan_and_take(unused_, [] {});
  EXPECT_EQ(taken.dropped, "");
  EXPECT_EQ(taken.reported, 100);
  EXPECT_EQ(engine_.removed, (std::vector<std::string>{"old:1", "old:2"}));
}

TEST_F(RungTest, ADanglingImageIsRemovedById) {
  EXPECT_EQ(plan_and_take(dangling_, [] {}).dropped, "");
  EXPECT_EQ(engine_.removed, (std::vector<std::string>{"sha256:dangling"}));
}

struct Meanwhile {
  std::string name;
  std::function<void(testing::FakeImageEngine&, Ledger&, const Clock&)> happens;
  std::string dropped;
};

class DroppedTest : public RungTest, public ::testing::WithParamInterface<Meanwhile> {};

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
        Meanwhile{"Held", [](auto& engine, auto&, const auto&) { engine.holdings.image_references = {"sha256:old"}; },
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

TEST_F(RungTest, ConflictIsAResultAndOtherErrorsAreErrors) {
  engine_.fail.emplace("remove", Error(Errc::kConflict, "409"));
  EXPECT_EQ(plan_and_take(unused_, [] {}).dropped, "the engine says it is in use: 409");
  engine_.fail.clear();
  engine_.fail.emplace("remove", Error(Errc::kTimeout, "slow"));
  const auto candidates = list(unused_);
  const auto taken = run_on(loop_, unused_.take(candidates.at(0), turn_));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), Errc::kTimeout);
}

TEST_F(RungTest, AUseBetweenTwoReferencesStopsTheSecond) {
  engine_.before_remove = [this] { ledger_.used("sha256:old", clock_.now().wall, "container start"); };
  const auto taken = plan_and_take(unused_, [] {});
  EXPECT_NE(taken.dropped.find("1 of its names were removed before"), std::string::npos) << taken.dropped;
  EXPECT_EQ(engine_.removed.size(), 1U);
}

TEST_F(RungTest, WithoutKnowingWhoUsesWhatNothingIsListed) {
  engine_.fail.emplace("containers", Error(Errc::kTimeout, "slow"));
  EXPECT_FALSE(run_on(loop_, unused_.list(turn_)));
  engine_.fail.clear();
  engine_.engine.identity.id = "engine-2";
  const auto listed = run_on(loop_, unused_.list(turn_));
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code(), Errc::kUnavailable);
}

TEST(References, AreComparedAsTheEngineMeansThem) {
  EXPECT_EQ(normalised_reference("docker.io/library/alpine"), "alpine:latest");
  EXPECT_EQ(normalised_reference("host:5000/a"), "host:5000/a:latest");
  EXPECT_EQ(normalised_reference("host:5000/a:1"), "host:5000/a:1");
  EXPECT_EQ(normalised_reference("a@sha256:0"), "a@sha256:0");
  EXPECT_EQ(normalised_reference("sha256:0"), "sha256:0");
}

}  // namespace
}  // namespace buildwarden::disk
