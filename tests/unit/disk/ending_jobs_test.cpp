// A job at its end whose own checkouts hold the room: they go a moment later, when it has ended (issue 16, number 5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "daemon/evictors/ending_jobs.h"
#include "tests/support/run_void.h"
#include "tests/unit/disk/checkouts_fixture.h"

namespace buildwarden::disk {
namespace {

using std::chrono::minutes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AskedSpace final : public ports::Space {
 public:
  ports::Async<ports::SpaceResult> ensure(ports::SpaceRequest request, ports::Progress) override {
    asked.push_back(request);
    if (meanwhile) meanwhile();
    co_return ports::SpaceResult{};
  }
  std::vector<ports::SpaceRequest> asked;
  std::function<void()> meanwhile;
};

class OnlyDisk final : public ports::DiskViews {
 public:
  [[nodiscard]] ports::DiskView disk_view() const override {
    ports::DiskView view;
    view.filesystems.push_back(disk);
    return view;
  }
  ports::FilesystemSnapshot disk;
};

class EndingJobsTest : public PurgeTest {
 protected:
  EndingJobsTest() {
    disks_.disk.gate = true;
    disks_.disk.roles = {"data_root", "builds"};
    disks_.disk.marks.critical = 150'000;
    policy::Reading reading;
    reading.total = 1'000'000;
    reading.free = 100'000;
    disks_.disk.reading = reading;
    // As pre-exit finds it: the lease has ended, the bootstrap lives.
    running_.jobs = {{"ci-1", "", "process 7 of buildkite-agent.service", "a", {}}};
  }
  ports::RoomAtEnd give_up(const std::string& job = "a") {
    auto room = testing::run_on(loop_, ending_.give_up(job));
    EXPECT_TRUE(room) << room.error().message();
    return room ? *room : ports::RoomAtEnd{};
  }
  void turn() { testing::run_void(loop_, ending_.turn()); }

  OnlyDisk disks_;
  AskedSpace space_;
  EndingJobs ending_{{settings_, clock_, workers_, journal_, running_, disks_, space_}};
};

TEST_F(EndingJobsTest, WhatItAloneKeepsGoesWhenItHasEnded) {
  make("ci-1/acme/web");
  make("ci-2/acme/web");
  const auto room = give_up();
  EXPECT_TRUE(room.enough) << room.reason;
  EXPECT_THAT(room.reason, HasSubstr("1 checkouts that job a alone keeps"));
  EXPECT_TRUE(ports::is_on_demand(journal_.last("checkout.kept"))) << "anybody may ask again and again";
  turn();
  EXPECT_THAT(space_.asked, IsEmpty()) << "it runs yet";
  EXPECT_THAT(ending_.given_up(), IsEmpty());
  running_.jobs.clear();
  std::vector<policy::JobToCome> meanwhile;
  space_.meanwhile = [&] { meanwhile = ending_.given_up(); };
  turn();
  ASSERT_THAT(space_.asked, SizeIs(1));
  EXPECT_EQ(space_.asked[0].on_behalf_of, "job a, ended");
  ASSERT_THAT(meanwhile, SizeIs(1)) << "while room is made, no age holds back what it left";
  EXPECT_EQ(meanwhile[0].agent, "ci-1");
  EXPECT_TRUE(meanwhile[0].asks);
  EXPECT_THAT(ending_.given_up(), IsEmpty());
  turn();
  EXPECT_THAT(space_.asked, SizeIs(1)) << "once";
}

TEST_F(EndingJobsTest, NothingGoesThatMayNotGo) {
  make("ci-1/acme/web");
  settings_.on_full.purge_builds = false;
  EXPECT_FALSE(give_up().enough);
  settings_.on_full.purge_builds = true;
  settings_.dry_run = true;
  EXPECT_FALSE(give_up().enough);
  settings_.dry_run = false;
  EXPECT_FALSE(give_up("another").enough) << "no such job runs";
  running_.jobs.push_back({"ci-2", path("ci-1/acme/web"), "lease b", "b", {}});
  EXPECT_FALSE(give_up().enough) << "another job's, too";
  running_.jobs.clear();
  turn();
  EXPECT_THAT(space_.asked, IsEmpty());
}

TEST_F(EndingJobsTest, WhatWouldNotHelpIsNoReason) {
  make("ci-1/acme/web");
  disks_.disk.marks.critical = 900'000;
  EXPECT_FALSE(give_up().enough) << "not enough";
  disks_.disk.marks.critical = 150'000;
  disks_.disk.roles = {"data_root"};
  EXPECT_FALSE(give_up().enough) << "another disk";
  disks_.disk.roles = {"builds"};
  disks_.disk.marks.critical_inodes = 1'000;
  disks_.disk.reading->total_inodes = 10'000;
  EXPECT_FALSE(give_up().enough) << "inodes";
  disks_.disk.reading->free_inodes = 998;
  EXPECT_TRUE(give_up().enough);
}

TEST_F(EndingJobsTest, OneThatRunsOnIsForgotten) {
  make("ci-1/acme/web");
  ASSERT_TRUE(give_up().enough);
  clock_.later += minutes{31};
  turn();
  running_.jobs.clear();
  turn();
  EXPECT_THAT(space_.asked, IsEmpty());
}

TEST_F(EndingJobsTest, WhoIsNotKnownToHaveEndedRuns) {
  make("ci-1/acme/web");
  ASSERT_TRUE(give_up().enough);
  running_.unknown = true;
  turn();
  EXPECT_THAT(space_.asked, IsEmpty());
}

// Young as it is: the job left it this second.
TEST_F(EndingJobsTest, ThePurgeTakesItWhateverItsAge) {
  make("ci-1/acme/web");
  clock_.later = Duration{0};
  running_.jobs.clear();
  EXPECT_THAT(order(), IsEmpty());
  policy::JobToCome ended;
  ended.agent = "ci-1";
  ended.asks = true;
  Checkouts purge{{settings_, clock_, workers_, journal_, running_, ended_, locks_, sizes_, [] { return true; },
                   [ended] { return std::vector<policy::JobToCome>{ended}; }}};
  const auto listed = testing::run_on(loop_, purge.list(turn_));
  ASSERT_TRUE(listed);
  ASSERT_THAT(*listed, SizeIs(1));
  EXPECT_TRUE((*listed)[0].given_up);
}

}  // namespace
}  // namespace buildwarden::disk
