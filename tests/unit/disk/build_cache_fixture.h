// Two build caches without an engine, and the rungs over them.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/evictors/build_cache.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {

// A probe that always sees the same.
class FixedProbe final : public ports::FilesystemProbe {
 public:
  FixedProbe() {
    disk.mount = "/docker";
    disk.roles = {"data_root"};
    disk.keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    disk.reading.emplace();
    disk.reading->total = 10 * kGiB;
  }
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    std::vector<ports::FilesystemSnapshot> all = more;
    all.push_back(disk);
    co_return all;
  }
  ports::FilesystemSnapshot disk;
  std::vector<ports::FilesystemSnapshot> more;
};

// A cache that notes what it is asked to prune.
class FakeCache final : public ports::BuildCache {
 public:
  struct Prune {
    std::vector<std::string> ids;
    Duration unused_for;
    bool operator==(const Prune&) const = default;
  };
  std::vector<policy::CacheRecord> records;
  std::vector<Prune> prunes;
  std::optional<Error> fail_list;
  std::optional<Error> fail_prune;
  std::set<std::string> held;  // passed over in silence

  ports::Async<std::vector<policy::CacheRecord>> cache_records() override {
    if (fail_list) co_return *fail_list;
    co_return records;
  }
  ports::Async<ports::CachePrune> prune_cache(std::vector<std::string> ids, Duration unused_for) override {
    if (fail_prune) co_return *fail_prune;
    ports::CachePrune done;
    for (const auto& id : ids) {
      if (held.contains(id)) {
        done.left.insert(id);
      } else {
        done.freed += kGiB;
      }
    }
    prunes.push_back({std::move(ids), unused_for});
    co_return done;
  }
};

// Two caches of 1 GiB records: the engine's 20, 14, 8 and 2 hours unused, the builder's 17, 11, 5 and 1.
class BuildCacheEvictorTest : public ::testing::Test {
 protected:
  BuildCacheEvictorTest() {
    for (const int age : {20, 14, 8, 2}) own_.records.push_back(record(age));
    for (const int age : {17, 11, 5, 1}) builder_.records.push_back(record(age));
  }
  policy::CacheRecord record(int unused_hours) {
    policy::CacheRecord record;
    record.id = format("hours{}", unused_hours);
    record.size = kGiB;
    record.last_used = clock_.now().wall - std::chrono::hours{unused_hours};
    return record;
  }
  BuildCacheEvictor::Parts parts() {
    return {[this] { return sources_; },
            engine_,
            engine_,
            meter_,
            journal_,
            settings_,
            clock_,
            workers_,
            [this](Duration time) { return clock_set_ago_ > time; }};
  }
  std::vector<policy::Candidate> list(BuildCacheEvictor& rung) {
    auto candidates = testing::run_on(loop_, rung.list(turn_));
    EXPECT_TRUE(candidates) << candidates.error().message();
    return candidates ? *candidates : std::vector<policy::Candidate>{};
  }
  // "engine 20h", …: source and the age of the youngest record of each step, least recently used first.
  std::vector<std::string> plan(BuildCacheEvictor& rung) {
    policy::EvictionRules rules;
    rules.grace = settings_.disk.grace;
    std::vector<std::string> steps;
    for (const auto& step : policy::rank(list(rung), rules, clock_.now()).order) {
      const auto source = step.id.substr(0, step.id.find(' '));
      steps.push_back(source + " " + format_duration(clock_.now().wall - step.last_use.at));
    }
    return steps;
  }
  using Steps = std::vector<std::string>;

  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  FixedProbe meter_;
  FakeCache own_;
  FakeCache builder_;
  Settings settings_;
  Duration clock_set_ago_ = std::chrono::hours{24 * 365};
  boost::asio::io_context loop_;
  WorkerPool workers_{1};
  policy::RungTurn turn_{policy::RungId::kBuildCache, 1, std::chrono::hours{4}};
  BuildCacheEvictor by_age_{policy::RungId::kBuildCache, parts()};
  BuildCacheEvictor by_share_{policy::RungId::kBuildCacheShare, parts()};
  std::vector<CacheSource> sources_{{"engine", "the engine's build cache", &own_, Amount::share(0.35), true},
                                    {"builder:s3", "builder s3's build cache", &builder_, Amount::share(0.15), false}};
};

}  // namespace buildwarden::disk
