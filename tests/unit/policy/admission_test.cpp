#include "daemon/policy/admission.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ostream>

namespace buildwarden::policy {
namespace {

using std::chrono::minutes;

GateFilesystem gate(Bytes free, Level level = Level::kOk) {
  return {
      .mount = "/data", .level = level, .free = free, .critical = 5 * kGiB, .free_inodes = 10, .critical_inodes = 10};
}

struct AdmitCase {
  const char* name;
  std::vector<GateFilesystem> gates;
  Bytes reserved;
  Bytes need;
  Verdict verdict;  // before room was made
  const char* rule;
  Bytes wanted;
};
std::ostream& operator<<(std::ostream& out, const AdmitCase& c) { return out << c.name; }

class Admit : public testing::TestWithParam<AdmitCase> {};

TEST_P(Admit, DecidesByTheNumbers) {
  const auto& c = GetParam();
  const std::vector<Promise> promised = {{"9", "web", 2000, c.reserved, c.reserved}};
  const JobNeed need{.bytes = c.need, .uid = 2000};
  const auto first = admit(c.gates, promised, need, false);
  EXPECT_EQ(first.verdict, c.verdict);
  EXPECT_EQ(first.rule, c.rule);
  EXPECT_EQ(first.wanted_free, c.wanted);
  EXPECT_FALSE(first.reason.empty());
  const auto last = admit(c.gates, promised, need, true);
  EXPECT_EQ(last.verdict, c.verdict == Verdict::kRun ? Verdict::kRun : Verdict::kRefuse);
}

const AdmitCase kCases[] = {
    {"enough", {gate(50 * kGiB)}, 0, 0, Verdict::kRun, "enough", 5 * kGiB},
    {"equal to critical", {gate(5 * kGiB, Level::kLow)}, 0, 0, Verdict::kRun, "enough", 5 * kGiB},
    {"below critical", {gate(5 * kGiB - 1, Level::kCritical)}, 0, 0, Verdict::kMakeRoom, "not_enough", 5 * kGiB},
    {"runs at low", {gate(8 * kGiB, Level::kLow)}, 0, 0, Verdict::kRun, "enough", 5 * kGiB},
    {"equal to the need", {gate(20 * kGiB)}, 0, 20 * kGiB, Verdict::kRun, "enough", 20 * kGiB},
    {"needs more", {gate(20 * kGiB)}, 0, 20 * kGiB + 1, Verdict::kMakeRoom, "not_enough", 20 * kGiB + 1},
    {"equal with reservations", {gate(15 * kGiB)}, 10 * kGiB, 0, Verdict::kRun, "enough", 15 * kGiB},
    {"others' reservations", {gate(15 * kGiB - 1)}, 10 * kGiB, 0, Verdict::kMakeRoom, "not_enough", 15 * kGiB},
    {"the tightest decides", {gate(50 * kGiB), gate(kGiB)}, 0, 0, Verdict::kMakeRoom, "not_enough", 5 * kGiB},
    {"unknown", {gate(0, Level::kUnknown)}, 0, kGiB, Verdict::kRun, "unknown", 0},
    {"unknown beside enough", {gate(50 * kGiB), gate(0, Level::kUnknown)}, 0, 0, Verdict::kRun, "unknown", 0},
    {"unknown beside not enough",
     {gate(0, Level::kUnknown), gate(kGiB, Level::kCritical)},
     0,
     0,
     Verdict::kMakeRoom,
     "not_enough",
     5 * kGiB},
    {"no gate", {}, 0, kGiB, Verdict::kRun, "unknown", 0},
    {"negative figures are none", {gate(5 * kGiB)}, -kGiB, -kGiB, Verdict::kRun, "enough", 5 * kGiB},
    {"full without a mark", {{.mount = "/", .level = Level::kExhausted}}, 0, 0, Verdict::kMakeRoom, "not_enough", 1},
};
INSTANTIATE_TEST_SUITE_P(Admission, Admit, testing::ValuesIn(kCases));

TEST(Admission, InodesCountLikeBytes) {
  auto few = gate(50 * kGiB);
  few.free_inodes = 9;
  const auto result = admit({few}, {}, {}, false);
  EXPECT_EQ(result.verdict, Verdict::kMakeRoom);
  EXPECT_EQ(result.wanted_inodes, 10);
  EXPECT_EQ(result.reason, "9 inodes are free on /data and the critical mark is 10");
}

TEST(Admission, ReasonsCarryTheNumbers) {
  EXPECT_EQ(admit({gate(8 * kGiB)}, {{"42", "web", 2000, kGiB, kGiB}}, {.bytes = 10 * kGiB, .uid = 2000}, true).reason,
            "8.00 GiB are free on /data and the job needs 10.00 GiB + 1.00 GiB reserved by job 42 of pipeline "
            "web, after "
            "all that is allowed was done");
  EXPECT_EQ(admit({gate(8 * kGiB)}, {}, {}, false).reason,
            "8.00 GiB are free on /data and the job needs 5.00 GiB (min_free)");
  EXPECT_EQ(admit({gate(0, Level::kUnknown)}, {}, {}, false).reason,
            "the free space on /data is not known, which is no reason to refuse");
}

// What can never be, or may not be made, is told apart from what deleting may bring.
TEST(Admission, WhatCanNeverFitIsRefusedAtOnce) {
  auto disk = gate(2 * kGiB);
  disk.total = 100 * kGiB;
  const auto answer = admit({disk}, {}, {.bytes = 1024 * kGiB, .uid = 0}, false);
  EXPECT_EQ(answer.verdict, Verdict::kRefuse) << "for root as well";
  EXPECT_EQ(answer.rule, "never_fits");
  EXPECT_TRUE(answer.hits_all) << "2 GiB are too few for anybody";
  EXPECT_EQ(answer.reason,
            "the job needs 1.00 TiB and /data can never have more than 95.00 GiB for one: it holds 100.00 GiB, less "
            "5.00 GiB (min_free)");
  disk.free = 50 * kGiB;
  EXPECT_FALSE(admit({disk}, {}, {.bytes = 1024 * kGiB, .uid = 2000}, false).hits_all) << "others find room";
  EXPECT_EQ(admit({disk}, {}, {.bytes = 95 * kGiB, .uid = 0}, false).verdict, Verdict::kMakeRoom)
      << "exactly that fits";
  EXPECT_EQ(admit({disk}, {}, {.bytes = 95 * kGiB + 1, .uid = 0}, false).rule, "never_fits");
  disk.level = Level::kUnknown;
  EXPECT_EQ(admit({disk}, {}, {.bytes = 1024 * kGiB, .uid = 2000}, false).rule, "unknown") << "unknown admits";
}

TEST(Admission, OnlyRootMayHaveMoreThanReclaimToMadeFree) {
  auto disk = gate(20 * kGiB);
  disk.total = 100 * kGiB;
  disk.target = 25 * kGiB;
  const auto theirs = admit({disk}, {}, {.bytes = 30 * kGiB, .uid = 2000}, false);
  EXPECT_EQ(theirs.verdict, Verdict::kRefuse);
  EXPECT_EQ(theirs.rule, "above_reclaim_to");
  EXPECT_NE(theirs.reason.find("only root may have more than 25.00 GiB (reclaim_to) made free"), std::string::npos);
  EXPECT_EQ(admit({disk}, {}, {.bytes = 25 * kGiB, .uid = 2000}, false).verdict, Verdict::kMakeRoom);
  EXPECT_EQ(admit({disk}, {}, {.bytes = 30 * kGiB, .uid = 0}, false).verdict, Verdict::kMakeRoom);
  disk.free = 30 * kGiB;
  EXPECT_EQ(admit({disk}, {}, {.bytes = 30 * kGiB, .uid = 2000}, false).verdict, Verdict::kRun)
      << "what is there is there";
}

TEST(Admission, WhatEveryJobMustFindNeedsNoEstimate) {
  EXPECT_FALSE(admit({gate(kGiB, Level::kCritical)}, {}, {}, false).needs_estimate);
  EXPECT_TRUE(admit({gate(6 * kGiB)}, {}, {.bytes = 8 * kGiB, .uid = 2000}, false).needs_estimate);
  EXPECT_TRUE(admit({gate(6 * kGiB)}, {{"1", "", 2000, 2 * kGiB, 2 * kGiB}}, {}, false).needs_estimate)
      << "for a reservation";
}

TEST(Admission, AnEstimateRefusesOnlyWhatIsKnownToBeInVain) {
  const auto wanted = admit({gate(6 * kGiB)}, {}, {.bytes = 8 * kGiB, .uid = 2000}, false);
  const auto refused = weighed(wanted, {.known = true, .reached = false, .free_after = 7 * kGiB});
  EXPECT_EQ(refused.verdict, Verdict::kRefuse);
  EXPECT_EQ(refused.rule, "out_of_reach");
  EXPECT_FALSE(refused.hits_all);
  EXPECT_EQ(
      refused.reason,
      "6.00 GiB are free on /data and the job needs 8.00 GiB, and no more than 7.00 GiB would be free if all that "
      "may go were deleted");
  EXPECT_EQ(weighed(wanted, {.known = true, .reached = true, .free_after = 8 * kGiB}).verdict, Verdict::kMakeRoom);
  EXPECT_EQ(weighed(wanted, {.known = false, .reached = false, .free_after = 7 * kGiB}).verdict, Verdict::kMakeRoom);
  EXPECT_EQ(weighed(wanted, {.known = true, .reached = false, .free_after = 9 * kGiB}).verdict, Verdict::kMakeRoom)
      << "short of inodes, which show only when they are taken";
  const auto usual = admit({gate(kGiB, Level::kCritical)}, {}, {}, false);
  EXPECT_EQ(weighed(usual, {.known = true, .reached = false, .free_after = kGiB}).verdict, Verdict::kMakeRoom);
}

TEST(Admission, ARefusalNamesWhoHasItReserved) {
  const std::vector<Promise> promised = {{"42", "web", 2000, 2 * kGiB, 2 * kGiB},
                                         {"a", "", 2000, kGiB},
                                         {"b", "", 2001, 3 * kGiB},
                                         {"c", "", 2001, 1},
                                         {"d", "", 0, 1}};
  const auto reason = admit({gate(6 * kGiB)}, promised, {.bytes = 6 * kGiB, .uid = 2000}, true).reason;
  EXPECT_NE(reason.find("+ 3.00 GiB reserved by job b, 2.00 GiB reserved by job 42 of pipeline web, 1.00 GiB reserved "
                        "by job a and 2 B by 2 others"),
            std::string::npos)
      << reason;
  EXPECT_EQ(admit({gate(6 * kGiB)}, promised, {.bytes = 0, .uid = 2000}, true).reason,
            "6.00 GiB are free on /data and the job needs 5.00 GiB (min_free) + 2.00 GiB reserved by job 42 "
            "of pipeline web, after all that is allowed was done")
      << "of jobs that ask for nothing only what was taken from them all";
}

struct ReservableCase {
  const char* name;
  Bytes free;
  std::vector<Promise> promised;
  JobNeed need;
  Bytes bytes;
  Bytes from_all;
};

TEST(ReservableRoom, LeavesTheCriticalMarkToOthersAndToEachUserItsShare) {
  const Promise mine{"1", "", 2000, 30 * kGiB, 30 * kGiB};
  const Promise others{"1", "", 2001, 30 * kGiB, 30 * kGiB};
  const ReservableCase cases[] = {
      {"nothing asked", 80 * kGiB, {}, {0, 2000}, 0, 0},
      {"all of it", 80 * kGiB, {}, {10 * kGiB, 2000}, 10 * kGiB, 10 * kGiB},
      {"what fits exactly leaves the mark", 40 * kGiB, {}, {40 * kGiB, 2000}, 40 * kGiB, 35 * kGiB},
      {"three quarters of what jobs may have, for one user", 105 * kGiB, {}, {90 * kGiB, 2000}, 75 * kGiB, 75 * kGiB},
      {"less what it holds", 105 * kGiB, {mine}, {90 * kGiB, 2000}, 45 * kGiB, 45 * kGiB},
      {"not what others hold", 105 * kGiB, {others}, {90 * kGiB, 2000}, 75 * kGiB, 70 * kGiB},
      {"root holds more", 100 * kGiB, {}, {90 * kGiB, 0}, 90 * kGiB, 90 * kGiB},
      {"but leaves the mark as well", 100 * kGiB, {}, {100 * kGiB, 0}, 100 * kGiB, 95 * kGiB},
      {"nothing is left of the share", 105 * kGiB, {mine, mine, mine}, {kGiB, 2000}, 0, 0},
      {"nothing is left above the mark", 35 * kGiB, {others}, {kGiB, 2000}, kGiB, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    auto disk = gate(c.free);
    disk.total = 105 * kGiB;
    for (const bool beside_unknown : {false, true}) {
      std::vector<GateFilesystem> disks = {disk};
      if (beside_unknown) disks.push_back(gate(0, Level::kUnknown));
      const auto got = reservable(disks, c.promised, c.need);
      EXPECT_EQ(got.bytes, c.bytes);
      EXPECT_EQ(got.from_all, c.from_all);
    }
  }
  EXPECT_EQ(reservable({gate(0, Level::kUnknown)}, {}, {kGiB, 2000}).bytes, 0);
}

TEST(Admission, AReservationCountsInFullAgainstThoseWhoAskForRoomToo) {
  const std::vector<Promise> promised = {{"1", "", 2000, 20 * kGiB, 15 * kGiB}};
  EXPECT_EQ(admit({gate(20 * kGiB)}, promised, {.bytes = 0, .uid = 2000}, false).verdict, Verdict::kRun);
  EXPECT_EQ(admit({gate(20 * kGiB)}, promised, {.bytes = 5 * kGiB, .uid = 2000}, false).verdict, Verdict::kRun);
  const auto refused = admit({gate(20 * kGiB)}, promised, {.bytes = 5 * kGiB + 1, .uid = 2000}, true);
  EXPECT_EQ(refused.verdict, Verdict::kRefuse);
  EXPECT_EQ(refused.wanted_free, 25 * kGiB + 1);
  EXPECT_FALSE(refused.hits_all);
}

constexpr BootTime kStart{std::chrono::hours{1}};

Reservation reservation(const char* job, Bytes bytes, BootTime since, Bytes free_at_start) {
  Reservation made;
  made.job = job;
  made.bytes = made.from_all = bytes;
  made.since = since;
  made.wrote = since;
  made.free_at_start = free_at_start;
  return made;
}

struct OutstandingCase {
  const char* name;
  std::vector<Reservation> reserved;
  Bytes free_now;
  Duration later;
  Bytes expected;
};

TEST(Outstanding, CountsWhatIsPromisedAndNotYetWritten) {
  const auto one = reservation("1", 10, kStart, 100);
  const auto two = reservation("2", 10, kStart, 100);
  const auto later = reservation("3", 10, kStart + minutes{5}, 96);
  const OutstandingCase cases[] = {
      {"none", {}, 0, minutes{0}, 0},
      {"nothing written", {one}, 100, minutes{1}, 10},
      {"partly written", {one}, 97, minutes{1}, 7},
      {"all written", {one}, 90, minutes{1}, 0},
      {"more written", {one}, 10, minutes{1}, 0},
      {"space came back", {one}, 500, minutes{1}, 10},
      {"written at the last moment", {one}, 97, minutes{15} - Duration{1}, 7},
      {"at 15 min", {one}, 97, minutes{15}, 0},
      {"what was lost counts once", {one, two}, 85, minutes{1}, 5},
      {"not for one that came later", {one, later}, 96, minutes{6}, 16},
      {"for both afterwards", {later, one}, 86, minutes{6}, 6},
      {"the older one is over", {one, later}, 96, minutes{16}, 0},
      {"started in the future", {later}, 96, minutes{0}, 10},
      {"negative", {reservation("4", -10, kStart, 100)}, 100, minutes{1}, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto now = kStart + c.later;
    EXPECT_EQ(sum_of(outstanding(observed(c.reserved, c.free_now, now), now)), c.expected);
  }
}

TEST(Outstanding, WhatWasSeenWrittenIsNotPromisedAgainWhenSpaceComesBack) {
  auto reserved = observed({reservation("1", 100, kStart, 1000)}, 940, kStart + minutes{1});
  EXPECT_EQ(reserved.at(0).written, 60);
  reserved = observed(reserved, 5000, kStart + minutes{2});
  EXPECT_EQ(sum_of(outstanding(reserved, kStart + minutes{2})), 40);
}

}  // namespace
}  // namespace buildwarden::policy
