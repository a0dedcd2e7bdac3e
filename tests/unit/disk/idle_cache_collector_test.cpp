#include "daemon/reclaim/idle_cache_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/format.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A disk of 100 GiB that wants nothing: 60 GiB are free.
class CalmDisk final : public ports::FilesystemProbe, public ports::DiskViews {
 public:
  CalmDisk() {
    disk.mount = "/docker";
    disk.device = "8:1";
    disk.roles = {"data_root"};
    disk.keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    disk.gate = true;
    disk.pressure.level = policy::Level::kOk;
    disk.marks.target = 25 * kGiB;
    disk.reading.emplace();
    disk.reading->total = 100 * kGiB;
    disk.reading->free = 60 * kGiB;
  }
  ports::FilesystemSnapshot disk;
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    co_return std::vector<ports::FilesystemSnapshot>{disk};
  }
  [[nodiscard]] ports::DiskView disk_view() const override {
    ports::DiskView view;
    view.filesystems.resize(1);
    view.filesystems.front().device = disk.device;
    view.filesystems.front().roles = disk.roles;
    view.filesystems.front().keeps = disk.keeps;
    view.filesystems.front().reading = disk.reading;
    return view;
  }
};

// Steps of 2 GiB each, as rung 6 lists them for one cache.
class Steps final : public ports::Evictor {
 public:
  explicit Steps(CalmDisk& disk) : disk_(disk) {}
  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kBuildCacheShare; }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override {
    turns.push_back(turn);
    std::vector<policy::Candidate> candidates;
    for (int at = 0; at < 3; ++at) {
      policy::Candidate candidate;
      candidate.id = format("step {}", at);
      candidate.name = candidate.id;
      candidate.size = 2 * kGiB;
      candidate.last_use.observed = hours{10} - hours{at};
      candidates.push_back(candidate);
    }
    co_return candidates;
  }
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn&) override {
    taken.push_back(candidate.id);
    disk_.disk.reading->free += 2 * kGiB;
    ports::EvictionResult result;
    result.reported = 2 * kGiB;
    if (on_take) on_take();
    co_await boost::asio::post(boost::asio::use_awaitable);  // whoever was begun just now comes to its first wait
    co_return result;
  }
  std::vector<policy::RungTurn> turns;
  std::vector<std::string> taken;
  std::function<void()> on_take;

 private:
  CalmDisk& disk_;
};

boost::asio::awaitable<void> ask(Reclaimer* reclaimer) {
  ports::SpaceRequest request;
  request.wait = minutes{1};
  ports::Progress quiet;
  [[maybe_unused]] const auto made = co_await reclaimer->ensure(std::move(request), std::move(quiet));
}

class Builders final : public ports::BuilderViews {
 public:
  ports::BuildersView view;
  [[nodiscard]] ports::BuildersView builders_view() const override { return view; }
};

class IdleCacheCollectorTest : public ::testing::Test {
 protected:
  IdleCacheCollectorTest() {
    ports::BuilderView builder;
    builder.name = "s3";
    builder.state = policy::BuilderState::kWarm;
    builder.running_builds = 0;
    builder.cache_bytes = 36 * kGiB;
    builders_.view.builders = {builder};
  }
  ports::BuilderView& builder() { return builders_.view.builders.front(); }
  void turn() { testing::run_void(loop_, idle_.turn()); }
  void idle_for(Duration time) {
    turn();
    clock_.advance(time);
    turn();
  }

  boost::asio::io_context loop_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine in_use_;
  Settings settings_;
  CalmDisk disk_;
  Steps rung_{disk_};
  Builders builders_;
  Reclaimer reclaimer_{
      Reclaimer::Parts{settings_, clock_, journal_, in_use_, disk_, {}, {Duration{40}, Duration{1}, Duration{0}}, {}}};
  std::vector<IdleCacheCollector::Source> sources_{{"s3", &rung_, Amount::share(0.30)}};
  IdleCacheCollector idle_{
      IdleCacheCollector::Parts{[this] { return sources_; }, builders_, disk_, reclaimer_, clock_, settings_}};
};

TEST_F(IdleCacheCollectorTest, AnIdleBuilderIsCollectedThoughTheDiskWantsNothing) {
  idle_for(minutes{5});
  EXPECT_THAT(rung_.taken, ElementsAre("step 0", "step 1", "step 2"));
  ASSERT_EQ(rung_.turns.size(), 1U);
  EXPECT_EQ(rung_.turns.front().age, settings_.disk.grace);
  EXPECT_FALSE(rung_.turns.front().engine_cache);
  EXPECT_EQ(journal_.count("reclaim.step"), 3U);
  EXPECT_THAT(journal_.last("reclaim.step").reason, HasSubstr("freed 2.00 GiB and 0 inodes, reported 2.00 GiB; 66.00 "
                                                              "GiB free on /docker."));
  EXPECT_EQ(journal_.last("reclaim.done").rule, "collected");
  EXPECT_EQ(journal_.last("reclaim.done").reason,
            "3 steps for builder s3: idle for 5m, and its cache has 36.00 GiB of 30.00 GiB: freed 6.00 GiB and 0 "
            "inodes; 66.00 GiB "
            "free on /docker.");
  EXPECT_EQ(journal_.count("reclaim.short"), 0U);
}

TEST_F(IdleCacheCollectorTest, OneThatIsUsedOrNotKnownIsLeftAlone) {
  builder().leases = {"job 1"};
  idle_for(hours{1});
  builder().leases.clear();
  builder().running_builds.reset();
  idle_for(hours{1});
  builder().running_builds = 0;
  builder().cache_bytes = 30 * kGiB;
  idle_for(hours{1});
  builder().cache_bytes = 36 * kGiB;
  disk_.disk.reading.reset();
  idle_for(hours{1});
  EXPECT_TRUE(rung_.turns.empty());
}

TEST_F(IdleCacheCollectorTest, ADiskOfUnknownLevelIsNotTouched) {
  disk_.disk.pressure.level = policy::Level::kUnknown;
  idle_for(minutes{5});
  EXPECT_TRUE(rung_.taken.empty());
}

TEST_F(IdleCacheCollectorTest, ADryRunOnlySaysIt) {
  settings_.dry_run = true;
  idle_for(minutes{5});
  EXPECT_TRUE(rung_.taken.empty());
  EXPECT_EQ(journal_.count("reclaim.step"), 3U);
  EXPECT_THAT(journal_.last("reclaim.done").reason, HasSubstr("Would take 3 steps for builder s3"));
}

TEST_F(IdleCacheCollectorTest, WhoeverNeedsSpaceDoesNotWaitForIt) {
  rung_.on_take = [this] { boost::asio::co_spawn(loop_, ask(&reclaimer_), boost::asio::detached); };
  idle_for(minutes{5});
  EXPECT_THAT(rung_.taken, ElementsAre("step 0"));
  testing::run_until(loop_, [this] { return !reclaimer_.busy(); });
}

TEST_F(IdleCacheCollectorTest, NoneAfterTheReclaimerWasStopped) {
  rung_.on_take = [this] { reclaimer_.stop(); };
  idle_for(minutes{5});
  EXPECT_THAT(rung_.taken, ElementsAre("step 0"));
}

TEST_F(IdleCacheCollectorTest, StopsAtOnce) {
  testing::Background running(loop_, idle_.run());
  loop_.poll();
  idle_.stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
}

}  // namespace
}  // namespace buildwarden::disk
