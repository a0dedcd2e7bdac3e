// A warm builder that nobody uses, with more in its cache than its share: collected on a real builder and a real disk.
#include <gmock/gmock.h>

#include <memory>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/builders/builder_cache.h"
#include "daemon/engine/engine.h"
#include "daemon/evictors/build_cache.h"
#include "daemon/filesystems/filesystem_table.h"
#include "daemon/reclaim/idle_cache_collector.h"
#include "tests/support/daemon_fixture.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using namespace std::chrono_literals;

constexpr int kBuilds = 6;
constexpr int kMibEach = 60;
constexpr double kShare = 0.05;  // of 3 GiB

// Only the time since boot runs ahead: how long a builder was idle. The ages in its cache are those of its own clock.
class HurriedClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override {
    auto now = clock_.now();
    now.boot += ahead_;
    return now;
  }
  void advance(Duration by) { ahead_ += by; }

 private:
  SystemClock clock_;
  Duration ahead_{0};
};

class Nobody final : public ports::InUse {
 public:
  [[nodiscard]] ports::InUseSet now() const override { return {}; }
};

class OneBuilder final : public ports::BuilderViews {
 public:
  ports::BuilderView s3;
  [[nodiscard]] ports::BuildersView builders_view() const override { return {{s3}}; }
};

class GaugeViews final : public ports::DiskViews {
 public:
  explicit GaugeViews(const FilesystemTable& gauges) : gauges_(gauges) {}
  [[nodiscard]] ports::DiskView disk_view() const override {
    ports::DiskView view;
    view.filesystems = gauges_.snapshots();
    return view;
  }

 private:
  const FilesystemTable& gauges_;
};

class IdleCache : public testing::DaemonFixture {
 protected:
  // The builder that a daemon made, with a cache of some size; then without the daemon.
  void fill_cache() {
    start_daemon();
    wait_until_warm();
    std::string builds = "eval \"$(buildwarden job start --id fill --use s3)\"\n";
    for (int at = 0; at < kBuilds; ++at) {
      builds += "mkdir \"$DOCKER_CONFIG/c\"; head -c " + std::to_string(kMibEach) +
                "M /dev/urandom > \"$DOCKER_CONFIG/c/data\"\n"
                "printf 'FROM scratch\\nCOPY data /data\\n' > \"$DOCKER_CONFIG/c/Dockerfile\"\n"
                "docker build -q \"$DOCKER_CONFIG/c\"; rm -r \"$DOCKER_CONFIG/c\"\n";
    }
    const auto filled = job_shell(builds + "buildwarden job end --id fill");
    ASSERT_EQ(filled.exit_code, 0) << filled.out;
    ASSERT_EQ(stop_daemon(), 0);
  }
  void connect() {
    settings_.engine.socket = dir() + "/docker.sock";
    settings_.disk.watch = {{dir() + "/disk", true}};
    settings_.disk.min_free = Amount::bytes(300 * kMiB);
    settings_.disk.min_free_inodes = 1'000;
    settings_.disk.grace = 1s;
    engine_ = std::make_unique<engine::Engine>(settings_.engine, engine::EngineParts{workers_, clock_, journal_});
    background_ = std::make_unique<testing::Background>(loop_, engine_->run());
    testing::run_until(loop_, [this] { return engine_->status().up; });
    cache_ =
        std::make_unique<builders::BuilderCache>("s3", builders::BuilderCache::Parts{*engine_, *engine_, workers_});
    const CacheSource source{"builder:s3", "builder s3's build cache", cache_.get(), Amount::share(kShare), false};
    rung_ = std::make_unique<BuildCacheEvictor>(
        policy::RungId::kBuildCacheShare,
        BuildCacheEvictor::Parts{[source] { return std::vector<CacheSource>{source}; }, *engine_, nobody_, gauges_,
                                 journal_, settings_, clock_, workers_, [](Duration) { return true; }});
    builders_.s3.name = "s3";
    builders_.s3.state = policy::BuilderState::kWarm;
    builders_.s3.running_builds = 0;
    builders_.s3.cache_bytes = measured();
  }
  void TearDown() override {
    if (background_) {
      engine_->stop();
      testing::run_until(loop_, [this] { return background_->ended(); });
    }
    DaemonFixture::TearDown();
  }
  [[nodiscard]] Bytes measured() {
    const auto bytes = testing::run_on(loop_, cache_->measure());
    EXPECT_TRUE(bytes) << bytes.error().message();
    return bytes ? *bytes : -1;
  }
  void turn() {
    testing::run_void(loop_, gauges_.observe(true));
    testing::run_void(loop_, idle_.turn());
  }

  boost::asio::io_context loop_;
  HurriedClock clock_;
  testing::FakeJournal journal_;
  WorkerPool workers_{1};
  Settings settings_;
  Nobody nobody_;
  OneBuilder builders_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<testing::Background> background_;
  std::unique_ptr<builders::BuilderCache> cache_;
  PathSampler sampler_{std::make_shared<MountTable>("/proc/self/mountinfo"), {}};
  FilesystemTable gauges_{
      {settings_, clock_, sampler_, [this] { return EngineHome{dir() + "/disk/docker", {}, false}; }}};
  GaugeViews views_{gauges_};
  Reclaimer reclaimer_{Reclaimer::Parts{settings_, clock_, journal_, nobody_, gauges_, {}}};
  std::unique_ptr<BuildCacheEvictor> rung_;
  IdleCacheCollector idle_{
      {[this] { return std::vector<IdleCacheCollector::Source>{{"s3", rung_.get(), Amount::share(kShare)}}; },
       builders_, views_, reclaimer_, clock_, settings_}};
};

TEST_F(IdleCache, IsCollectedDownToItsShareAfterFiveMinutes) {
  ASSERT_NO_FATAL_FAILURE(fill_cache());
  ASSERT_NO_FATAL_FAILURE(connect());
  const auto before = measured();
  EXPECT_GE(before, Bytes{kBuilds} * kMibEach * kMiB);
  turn();
  const auto share = Amount::share(kShare).of(views_.disk_view().filesystems.at(0).reading->total);
  clock_.advance(4min);
  builders_.s3.leases = {"a job"};  // a lease begins the time anew
  turn();
  builders_.s3.leases.clear();
  turn();
  clock_.advance(4min);
  turn();
  EXPECT_EQ(measured(), before) << "idle for four minutes";

  const auto free_before = free_bytes();
  clock_.advance(2min);
  turn();
  const auto after = measured();
  EXPECT_GE(after, share - 2 * kMibEach * kMiB) << "not emptied";
  EXPECT_LE(after, share + 2 * kMibEach * kMiB);
  EXPECT_NEAR(static_cast<double>(free_bytes() - free_before), static_cast<double>(before - after), 32.0 * kMiB);
  EXPECT_EQ(journal_.last("reclaim.done").rule, "collected");
  std::cout << journal_.last("reclaim.done").reason << "\n";
}

}  // namespace
}  // namespace buildwarden::disk
