// Evictors and reclaimer on a real, private engine: for tests of which images go and which stay.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/engine/engine.h"
#include "daemon/evictors/images.h"
#include "daemon/filesystems/filesystem_table.h"
#include "daemon/last_use/last_use_recorder.h"
#include "daemon/reclaim/reclaimer.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/sandbox.h"

namespace buildwarden::disk {

// With nothing too young to go.
struct Half {
  Half(boost::asio::io_context& on, const std::string& folder)
      : loop(on), settings(settings_for(folder)), engine(settings.engine, {workers, clock, journal}) {
    engine.on_event([this](const ports::EngineEvent& event) { feed.on_event(event); });
    engine.on_connected([this](const ports::EngineIdentity& identity, std::optional<Duration> gap) {
      feed.on_connected(identity, gap);
    });
    engine.on_lost([this](const std::string&) { feed.on_lost(); });
  }
  static Settings settings_for(const std::string& folder) {
    Settings settings;
    settings.engine.socket = folder + "/docker.sock";
    settings.disk.watch = {WatchedPath{folder + "/disk", true}};
    settings.disk.keep_used_within = Duration{0};
    settings.disk.grace = Duration{0};
    settings.disk.keep = {"safe/*"};
    settings.disk.min_free = Amount::bytes(kMiB);  // so that it is no critical disk with a second pass
    settings.disk.min_free_inodes = 1;
    return settings;
  }
  Reclaimer::Parts reclaimer_parts() {
    Reclaimer::Parts parts{settings, clock, journal, nobody, gauges, {&dangling, &unused}};
    parts.before_evict = [this](policy::Candidate candidate) { return between(std::move(candidate)); };
    return parts;
  }
  boost::asio::awaitable<void> between(policy::Candidate candidate) {
    if (meanwhile) meanwhile(candidate);
    co_return;
  }

  boost::asio::io_context& loop;
  Settings settings;
  SystemClock clock;
  testing::FakeJournal journal;
  testing::FakeLedgerStore store;
  testing::FakeImageEngine nobody;  // holds nothing
  WorkerPool workers{2};
  engine::Engine engine;
  LastUseLedger ledger{clock, store, journal};
  LastUseRecorder feed{{ledger, engine, engine, clock, workers}};
  DanglingImages dangling{{engine, engine, engine, nobody, ledger, clock}};
  UnusedImages unused{{engine, engine, engine, nobody, ledger, clock}};
  PathSampler sampler{std::make_shared<MountTable>("/proc/self/mountinfo"), {}};
  FilesystemTable gauges{
      {settings, clock, sampler, [this] { return EngineHome{engine.status().identity.root_dir, {}, false}; }}};
  std::function<void(const policy::Candidate&)> meanwhile;
  Reclaimer reclaimer{reclaimer_parts()};
};

// On a private engine of its own.
class HalfFixture : public testing::SandboxFixture {
 protected:
  void SetUp() override {
    SandboxFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    half_ = std::make_unique<Half>(loop_, dir());
    engine_runs_ = std::make_unique<testing::Background>(loop_, half_->engine.run());
    feed_runs_ = std::make_unique<testing::Background>(loop_, half_->feed.run());
    settle();
  }
  void TearDown() override {
    if (half_) {
      half_->engine.stop();
      half_->feed.stop();
      testing::run_until(loop_, [this] { return engine_runs_->ended() && feed_runs_->ended(); });
    }
    SandboxFixture::TearDown();
  }

  // An image that runs; its busybox sleeps or ends.
  void make(const std::string& tag) {
    shell(
        "mkdir -p $DIR/i; cp $(command -v busybox) $DIR/i/busybox; head -c 100000 /dev/urandom > $DIR/i/data; "
        "tar -C $DIR/i -c . | docker import --change 'CMD [\"/busybox\",\"sleep\",\"600\"]' - " +
        tag);
  }
  // Until the ledger has seen all that there is.
  void settle() {
    testing::run_until(loop_, [this] { return half_->ledger.knows(half_->engine.status().identity); });
    EXPECT_TRUE(testing::run_on(loop_, half_->feed.turn()));
    half_->journal.events.clear();
  }
  // Plans, lets `meanwhile` happen directly before each deletion, and takes what is still to be taken.
  void reclaim_while(std::function<void(const policy::Candidate&)> meanwhile) {
    settle();
    testing::run_on(loop_, observed());
    half_->meanwhile = std::move(meanwhile);
    ports::SpaceRequest request;
    request.free = 1'000 * kGiB;
    request.wait = std::chrono::seconds{60};
    request.on_behalf_of = "a test";
    const auto result = testing::run_on(loop_, half_->reclaimer.ensure(request, {}));
    ASSERT_TRUE(result) << result.error().message();
    deleted_.clear();
    for (const auto& step : result->steps) deleted_.push_back(step.what);
  }
  [[nodiscard]] std::vector<std::string> reasons(const std::string& kind) const {
    std::vector<std::string> all;
    for (const auto& event : half_->journal.events) {
      if (event.kind == kind) all.push_back(event.reason);
    }
    return all;
  }
  [[nodiscard]] std::vector<std::string> dropped() const { return reasons("reclaim.dropped"); }
  boost::asio::awaitable<bool> observed() {
    co_await half_->gauges.observe(true);
    co_return true;
  }

  boost::asio::io_context loop_;
  std::unique_ptr<Half> half_;
  std::unique_ptr<testing::Background> engine_runs_;
  std::unique_ptr<testing::Background> feed_runs_;
  std::vector<std::string> deleted_;  // by the last reclaim, in order
};

}  // namespace buildwarden::disk
