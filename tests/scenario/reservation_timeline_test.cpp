// What a reservation keeps from others over time: a job that asks for much and writes nothing, and one that writes.
#include <gtest/gtest.h>

#include <string>

#include "daemon/policy/admission.h"
#include "tests/support/fake_clock.h"

namespace buildwarden::policy {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// A disk of 105 GiB with a mark of 5 GiB, and the jobs that were admitted on it.
class SharedDisk {
 public:
  explicit SharedDisk(Bytes free) {
    disk_.mount = "/data";
    disk_.level = Level::kOk;
    disk_.total = 105 * kGiB;
    disk_.critical = 5 * kGiB;
    disk_.target = 26 * kGiB;
    disk_.free = free;
  }
  void pass(Duration time) { clock_.advance(time); }
  void write(Bytes bytes) { disk_.free -= bytes; }

  // Evaluated, and admitted where it may run.
  Admission start(const std::string& job, Bytes need, std::uint32_t uid) {
    const JobNeed asked{.bytes = need, .uid = uid};
    auto admission = admit({disk_}, promised(), asked, false);
    if (admission.verdict != Verdict::kRun) return admission;
    Reservation made;
    made.job = job;
    made.pipeline = "web";
    made.uid = uid;
    const auto reserved = reservable({disk_}, promised(), asked);
    made.bytes = reserved.bytes;
    made.from_all = reserved.from_all;
    made.since = made.wrote = clock_.now().boot;
    made.free_at_start = disk_.free;
    reserved_.push_back(made);
    return admission;
  }
  std::vector<Promise> promised() {
    reserved_ = observed(reserved_, disk_.free, clock_.now().boot);
    return outstanding(reserved_, clock_.now().boot);
  }

 private:
  testing::FakeClock clock_;
  GateFilesystem disk_;
  std::vector<Reservation> reserved_;
};

// The symptom of issue 14: what fits exactly refused every other job for 15 minutes.
TEST(ReservationTimeline, OneThatFitsExactlyRefusesNoOtherJob) {
  SharedDisk host(40 * kGiB);
  ASSERT_EQ(host.start("greedy", 40 * kGiB, 2000).verdict, Verdict::kRun);
  for (int minute = 0; minute < 20; ++minute) {
    EXPECT_EQ(host.start(std::to_string(minute), 0, 2000).verdict, Verdict::kRun) << minute;
    host.pass(minutes{1});
  }
}

TEST(ReservationTimeline, OneThatIsNotUsedGivesItsRoomBackWithinMinutes) {
  SharedDisk host(40 * kGiB);
  ASSERT_EQ(host.start("idle", 35 * kGiB, 2000).verdict, Verdict::kRun);
  host.pass(kReservedInFull);
  const auto refused = host.start("next", 10 * kGiB, 2001);
  EXPECT_NE(refused.verdict, Verdict::kRun) << "it may still begin to write";
  EXPECT_NE(refused.reason.find("35.00 GiB reserved by job idle of pipeline web"), std::string::npos) << refused.reason;
  Bytes before = sum_of(host.promised());
  while (before > 0) {
    host.pass(seconds{30});
    const auto now = sum_of(host.promised());
    EXPECT_LT(now, before);
    before = now;
  }
  EXPECT_EQ(host.start("next", 30 * kGiB, 2001).verdict, Verdict::kRun);
}

TEST(ReservationTimeline, AJobThatWritesKeepsWhatItHasNotWrittenYet) {
  SharedDisk host(60 * kGiB);
  ASSERT_EQ(host.start("builds", 28 * kGiB, 2000).verdict, Verdict::kRun);
  for (int minute = 1; minute < 14; ++minute) {
    host.pass(minutes{1});
    host.write(2 * kGiB);
    EXPECT_EQ(sum_of(host.promised()), (28 - 2 * minute) * kGiB) << minute;
  }
  host.pass(minutes{2});
  EXPECT_EQ(sum_of(host.promised()), 0) << "the time of every reservation ends";
}

TEST(ReservationTimeline, OneThatStopsWritingLosesTheRest) {
  SharedDisk host(60 * kGiB);
  ASSERT_EQ(host.start("stops", 20 * kGiB, 2000).verdict, Verdict::kRun);
  host.pass(minutes{2});
  host.write(5 * kGiB);
  EXPECT_EQ(sum_of(host.promised()), 15 * kGiB);
  host.pass(kReservedIdle);
  EXPECT_EQ(sum_of(host.promised()), 0);
}

// A drop now and then is no use of it.
TEST(ReservationTimeline, ALittleIsNoProgress) {
  SharedDisk host(60 * kGiB);
  ASSERT_EQ(host.start("drips", 20 * kGiB, 2000).verdict, Verdict::kRun);
  for (int i = 0; i < 12; ++i) {
    host.pass(seconds{30});
    host.write(kMiB);
    host.promised();
  }
  EXPECT_EQ(sum_of(host.promised()), 0);
}

TEST(ReservationTimeline, OneUserDoesNotHoldTheWholeDisk) {
  SharedDisk host(105 * kGiB);
  for (int i = 0; i < 20; ++i) host.start(std::to_string(i), 20 * kGiB, 2000);
  EXPECT_EQ(sum_of(host.promised()), 75 * kGiB) << "three quarters of what lies above the mark";
  EXPECT_EQ(host.start("other", 20 * kGiB, 2001).verdict, Verdict::kRun);
  EXPECT_EQ(host.start("root", 10 * kGiB, 0).verdict, Verdict::kRun);
}

}  // namespace
}  // namespace buildwarden::policy
