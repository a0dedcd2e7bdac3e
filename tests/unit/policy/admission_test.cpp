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
  const auto first = admit(c.gates, c.reserved, c.need, false);
  EXPECT_EQ(first.verdict, c.verdict);
  EXPECT_EQ(first.rule, c.rule);
  EXPECT_EQ(first.wanted_free, c.wanted);
  EXPECT_FALSE(first.reason.empty());
  const auto last = admit(c.gates, c.reserved, c.need, true);
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
  const auto result = admit({few}, 0, 0, false);
  EXPECT_EQ(result.verdict, Verdict::kMakeRoom);
  EXPECT_EQ(result.wanted_inodes, 10);
  EXPECT_EQ(result.reason, "9 inodes are free on /data and the critical mark is 10");
}

TEST(Admission, ReasonsCarryTheNumbers) {
  EXPECT_EQ(
      admit({gate(8 * kGiB)}, kGiB, 10 * kGiB, true).reason,
      "8.00 GiB are free on /data and the job needs 10.00 GiB beside 1.00 GiB promised to running jobs, after all "
      "that is allowed was done");
  EXPECT_EQ(admit({gate(8 * kGiB)}, 0, 0, false).reason,
            "8.00 GiB are free on /data and the job needs the critical mark of 5.00 GiB");
  EXPECT_EQ(admit({gate(0, Level::kUnknown)}, 0, 0, false).reason,
            "the free space on /data is not known, which is no reason to refuse");
}

constexpr BootTime kStart{std::chrono::hours{1}};

struct OutstandingCase {
  const char* name;
  std::vector<Reservation> reserved;
  Bytes free_now;
  Duration later;
  Bytes expected;
};

TEST(Outstanding, CountsWhatIsPromisedAndNotYetWritten) {
  const Reservation one{"1", 10, kStart, 100};
  const Reservation two{"2", 10, kStart, 100};
  const Reservation later{"3", 10, kStart + minutes{5}, 96};
  const OutstandingCase cases[] = {
      {"none", {}, 0, minutes{0}, 0},
      {"nothing written", {one}, 100, minutes{1}, 10},
      {"partly written", {one}, 97, minutes{1}, 7},
      {"all written", {one}, 90, minutes{1}, 0},
      {"more written", {one}, 10, minutes{1}, 0},
      {"space came back", {one}, 500, minutes{1}, 10},
      {"just before 15 min", {one}, 100, minutes{15} - Duration{1}, 10},
      {"at 15 min", {one}, 100, minutes{15}, 0},
      {"what was lost counts once", {one, two}, 85, minutes{1}, 5},
      {"not for one that came later", {one, later}, 96, minutes{6}, 16},
      {"for both afterwards", {later, one}, 86, minutes{6}, 6},
      {"the older one is over", {one, later}, 96, minutes{16}, 10},
      {"started in the future", {later}, 96, minutes{0}, 10},
      {"negative", {{"4", -10, kStart, 100}}, 100, minutes{1}, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(outstanding(c.reserved, c.free_now, kStart + c.later), c.expected);
  }
}

}  // namespace
}  // namespace buildwarden::policy
