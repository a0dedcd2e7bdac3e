#include "daemon/reclaim/network_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "daemon/evictors/networks.h"
#include "daemon/last_use/network_use.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ended.h"
#include "tests/support/fake_journal.h"
#include "tests/support/reclaim.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using ::testing::ElementsAre;

// A disk that wants nothing.
class RoomyDisk final : public ports::FilesystemProbe {
 public:
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    ports::FilesystemSnapshot disk;
    disk.mount = "/docker";
    disk.device = "8:1";
    disk.roles = {"data_root"};
    disk.pressure.level = policy::Level::kOk;
    disk.reading.emplace();
    disk.reading->total = 100 * kGiB;
    disk.reading->free = 90 * kGiB;
    std::vector<ports::FilesystemSnapshot> all;
    all.push_back(disk);
    co_return all;
  }
};

class NetworkCollectorTest : public ::testing::Test {
 protected:
  NetworkCollectorTest() {
    engine_.engine.up = true;
    settings_.disk.keep_used_within = hours{4};
    use_.on_connected();
    ended_.add_network("old", clock_.now().wall);
    clock_.advance(hours{3});
  }
  void turn() { testing::run_void(loop_, collection_.turn()); }

  Settings settings_;
  testing::FakeClock clock_;
  testing::FakeImageEngine engine_;
  testing::FakeEnded ended_{engine_};
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  RoomyDisk disk_;
  NetworkUse use_{clock_};
  EmptyNetworks networks_{EmptyNetworks::Parts{ended_, engine_, engine_, use_, clock_}};
  bool gentle_ = false;
  Reclaimer reclaimer_{Reclaimer::Parts{settings_,
                                        clock_,
                                        journal_,
                                        engine_,
                                        disk_,
                                        {&networks_},
                                        testing::quick_pace(Duration{5}),
                                        [this] { return gentle_; },
                                        {}}};
  NetworkCollector collection_{NetworkCollector::Parts{settings_, reclaimer_, networks_}};
};

TEST_F(NetworkCollectorTest, AnEmptyOneGoesAtTheAgeThoughTheDiskWantsNothing) {
  gentle_ = true;  // also while the operator's wishes are not known
  turn();
  EXPECT_THAT(ended_.removed, ElementsAre()) << "3 h of 4";
  clock_.advance(hours{2});
  ended_.add_network("young", clock_.now().wall);
  turn();
  EXPECT_THAT(ended_.removed, ElementsAre("id-old"));
  EXPECT_EQ(journal_.count("reclaim.step"), 1U);
  EXPECT_EQ(journal_.count("reclaim.done"), 1U);
}

TEST_F(NetworkCollectorTest, ADryRunOnlySaysIt) {
  settings_.dry_run = true;
  clock_.advance(hours{2});
  turn();
  EXPECT_THAT(ended_.removed, ElementsAre());
  EXPECT_EQ(journal_.count("reclaim.step"), 1U);
}

TEST_F(NetworkCollectorTest, WhatDiskKeepNamesStays) {
  settings_.disk.keep = {"network:o*"};
  clock_.advance(hours{2});
  turn();
  EXPECT_THAT(ended_.removed, ElementsAre());
  settings_.disk.keep = {"o*"};  // over images
  turn();
  EXPECT_THAT(ended_.removed, ElementsAre("id-old"));
}

}  // namespace
}  // namespace buildwarden::disk
