#include "daemon/last_use/savings_ledger.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "tests/unit/disk/worth_fixture.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::run_void;

class SavingsLedgerTest : public WorthFixture {
 protected:
  SavingsLedgerTest() { start(); }
  // As a daemon that starts anew with the same store.
  void start() {
    savings_ = std::make_unique<SavingsLedger>(SavingsLedger::Parts{clock_, store_});
    worth_ = std::make_unique<WorthLedger>(WorthLedger::Parts{clock_, store_, workers_, savings_.get()});
    run_void(loop_, savings_->load());
    connect();
  }
  void restart() {
    run_void(loop_, worth_->flush());
    run_void(loop_, savings_->flush());
    start();
  }
  // An image of a registry whose pull was seen to take 20 s.
  void add_image(const std::string& id) {
    engine_.add_image(id, {"web:1"}, kGiB);
    engine_.images.back().digests = {"web@" + id};
    worth_->pulled("web:1", seconds{20});
    see();
    clock_.advance(minutes{1});
  }
  void run_container(const std::string& id) { worth_->used(id, clock_.now().wall, true); }
  ports::Lease job(const std::string& id, const std::string& pipeline) {
    ports::Lease lease;
    lease.id = id;
    lease.pipeline = pipeline;
    lease.started_wall = clock_.now().wall;
    savings_->job_runs(lease);
    return lease;
  }
  [[nodiscard]] ports::SavingsOfKind host(policy::ThingKind kind) const {
    const auto view = savings_->savings_view();
    return view.host ? view.host->at(kind == policy::ThingKind::kImage ? 0 : 1) : ports::SavingsOfKind{};
  }
  [[nodiscard]] double saved() const { return host(policy::ThingKind::kImage).saved.total.seconds; }
  [[nodiscard]] double regretted() const { return host(policy::ThingKind::kImage).regretted.total.seconds; }

  std::unique_ptr<SavingsLedger> savings_;
};

TEST_F(SavingsLedgerTest, AnImageThatWasThereSavesItsPullOnceForEachJob) {
  add_image("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 0);
  const auto first = job("1", "web");
  run_container("sha256:a");
  clock_.advance(minutes{1});
  run_container("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 20) << "the same job";
  EXPECT_EQ(host(policy::ThingKind::kImage).saved.total.bytes, kGiB);
  savings_->job_over(first);
  job("2", "web");
  run_container("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 40);
  EXPECT_DOUBLE_EQ(host(policy::ThingKind::kImage).saved.total.estimated_seconds, 0);
}

// Whose container it is nobody says, and one pull would have served them all.
TEST_F(SavingsLedgerTest, OfJobsThatRunAtOnceOneUseCounts) {
  add_image("sha256:a");
  job("1", "web");
  job("2", "web");
  for (int i = 0; i < 5; ++i) {
    clock_.advance(minutes{1});
    run_container("sha256:a");
  }
  EXPECT_DOUBLE_EQ(saved(), 20);
  clock_.advance(minutes{1});
  job("3", "web");
  run_container("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 40);
}

TEST_F(SavingsLedgerTest, AnImageThatIsPulledAgainBeforeAListIsWithoutItIsRegretted) {
  add_image("sha256:a");
  worth_->image_deleted("sha256:a");
  clock_.advance(minutes{30});
  run_container("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 0);
  EXPECT_DOUBLE_EQ(regretted(), 20);
}

TEST_F(SavingsLedgerTest, WhoeverPulledItHasSavedNothing) {
  job("1", "web");
  add_image("sha256:a");
  run_container("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 0);
}

TEST_F(SavingsLedgerTest, WithoutAJobAUseCountsOnceInTenMinutes) {
  add_image("sha256:a");
  run_container("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 0) << "it came a minute ago";
  clock_.advance(minutes{10});
  run_container("sha256:a");
  run_container("sha256:a");
  EXPECT_DOUBLE_EQ(saved(), 20);
}

TEST_F(SavingsLedgerTest, WhatIsEstimatedIsCalledSo) {
  engine_.add_image("sha256:a", {"web:1"}, kGiB);
  see();
  clock_.advance(minutes{20});
  run_container("sha256:a");
  EXPECT_GT(saved(), 1);
  EXPECT_DOUBLE_EQ(host(policy::ThingKind::kImage).saved.total.estimated_seconds, saved());
  EXPECT_EQ(host(policy::ThingKind::kImage).saved.total.bytes, 0) << "no registry has it";
}

TEST_F(SavingsLedgerTest, APipelinesUseIsItsOwnOnlyWhileItIsAlone) {
  add_image("sha256:a");
  job("1", "web");
  run_container("sha256:a");
  clock_.advance(minutes{1});
  job("2", "app");
  run_container("sha256:a");
  const auto view = savings_->savings_view();
  EXPECT_DOUBLE_EQ(saved(), 40);
  ASSERT_EQ(view.pipelines.size(), 1U);
  EXPECT_DOUBLE_EQ(view.pipelines.at("web")[0].saved.total.seconds, 20);
}

TEST_F(SavingsLedgerTest, WhatWasDeletedAndCameAgainIsRegretted) {
  add_image("sha256:a");
  const auto image = engine_.images.back();
  worth_->image_deleted("sha256:a");
  see();
  EXPECT_DOUBLE_EQ(regretted(), 0) << "a list from before shows it still";
  engine_.images.clear();
  see();
  restart();
  clock_.advance(hours{23});
  engine_.images = {image};
  see();
  EXPECT_DOUBLE_EQ(regretted(), 20);
  worth_->image_deleted("sha256:a");
  engine_.images.clear();
  see();
  clock_.advance(hours{25});
  engine_.images = {image};
  see();
  EXPECT_DOUBLE_EQ(regretted(), 20) << "too late for regret";
}

TEST_F(SavingsLedgerTest, SumsAreKeptOverARestart) {
  add_image("sha256:a");
  job("1", "web");
  run_container("sha256:a");
  restart();
  EXPECT_DOUBLE_EQ(saved(), 20);
  EXPECT_DOUBLE_EQ(host(policy::ThingKind::kImage).saved.today.seconds, 20);
  EXPECT_DOUBLE_EQ(savings_->savings_view().pipelines.at("web")[0].saved.total.seconds, 20);
  clock_.advance(hours{24});
  EXPECT_DOUBLE_EQ(host(policy::ThingKind::kImage).saved.today.seconds, 0);
}

TEST_F(SavingsLedgerTest, BeforeTheStoreIsReadNothingIsShownAndNothingIsLost) {
  add_image("sha256:a");
  job("1", "web");
  run_container("sha256:a");
  run_void(loop_, savings_->flush());
  savings_ = std::make_unique<SavingsLedger>(SavingsLedger::Parts{clock_, store_});
  store_.failure = "the disk is slow";
  run_void(loop_, savings_->load());
  EXPECT_FALSE(savings_->savings_view().host.has_value());
  savings_->image_used("sha256:b", {5, 0, 0, 1}, clock_.now().wall);
  store_.failure.clear();
  run_void(loop_, savings_->load());
  EXPECT_DOUBLE_EQ(saved(), 25);
}

TEST_F(SavingsLedgerTest, UsesOfACacheAreCountedFromTheSecondLookOnAndRegretsOnce) {
  policy::CacheRecord made;
  made.id = "a";
  made.description = "mount / from exec /bin/sh -c sleep 8";
  made.created = clock_.now().wall;
  made.last_used = made.created;
  made.uses = 7;
  std::vector<policy::BuildStep> steps = {{"[2/2] RUN sleep 8", made.created - seconds{8}, made.created}};
  clock_.advance(minutes{1});
  run_void(loop_, worth_->learn_steps("s3", steps, {made}));
  const auto saved_of_cache = [this] { return host(policy::ThingKind::kCache).saved.total.seconds; };
  EXPECT_DOUBLE_EQ(saved_of_cache(), 0);
  job("1", "web");
  clock_.advance(minutes{1});
  made.uses = 9;
  made.last_used = clock_.now().wall;
  run_void(loop_, worth_->learn_steps("s3", {}, {made}));
  EXPECT_DOUBLE_EQ(saved_of_cache(), 16);
  EXPECT_DOUBLE_EQ(savings_->savings_view().pipelines.at("web")[1].saved.total.seconds, 16);
  const auto slot = policy::slots_of({made}, "s3")[0];
  run_void(loop_, worth_->cache_deleted("s3", {policy::LostRecord{slot, {8, 0, 0, 1}}}));
  restart();
  made.uses = 30;
  run_void(loop_, worth_->learn_steps("s3", {}, {made}));
  EXPECT_DOUBLE_EQ(saved_of_cache(), 16) << "the first look after a start";
  clock_.advance(minutes{1});
  made.id = "b";
  made.created = clock_.now().wall;
  run_void(loop_, worth_->learn_steps("s3", {}, {made}));
  run_void(loop_, worth_->learn_steps("s3", {}, {made}));
  EXPECT_DOUBLE_EQ(host(policy::ThingKind::kCache).regretted.total.seconds, 8);
}

}  // namespace
}  // namespace buildwarden::disk
