// Days of a CI host replayed: what jobs wait for by worth, by last use, and by who knows the future.
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <string_view>

#include "tests/support/worth_days.h"
#include "tests/support/worth_replay.h"

namespace buildwarden::testing {
namespace {

constexpr double kReplayedSeconds = 36 * 3600;
constexpr double kDiskOfADay = 0.2;
constexpr double kNoiseOfCosts = 0.7;
constexpr std::uint64_t kDaySeed = 21;

// Of a kind of days, with the most that value may have to clairvoyant; some of the gap is what nobody can foresee.
struct Judged {
  std::string_view kind;
  double most;
};
constexpr std::array<Judged, 6> kJudged = {
    {{"monorepo", 1.05}, {"small", 1.30}, {"branches", 1.32}, {"nightly", 1.46}, {"renewed", 1.08}, {"same", 1.30}}};

class Waiting {
 public:
  explicit Waiting(std::string_view kind) : trace_(*make_days(kind, kDaySeed)) {
    std::erase_if(trace_, [](const TracedJob& job) { return job.at > kReplayedSeconds; });
  }
  [[nodiscard]] double by(ReplayPolicy policy) const {
    const auto disk = static_cast<Bytes>(kDiskOfADay * static_cast<double>(bytes_of_a_day(trace_)));
    return replay(trace_, {disk, policy, kNoiseOfCosts, kDaySeed}).rebuild_seconds;
  }

 private:
  Trace trace_;
};

TEST(WorthReplay, IsNearToClairvoyantAndBetterThanLastUse) {
  for (const auto& [kind, most] : kJudged) {
    const Waiting waiting(kind);
    const auto best = waiting.by(ReplayPolicy::kClairvoyant);
    const auto by_value = waiting.by(ReplayPolicy::kValue) / best;
    const auto by_last_use = waiting.by(ReplayPolicy::kLastUse) / best;
    EXPECT_LT(by_value, most) << kind;
    EXPECT_LT(by_value - 1, (by_last_use - 1) * 0.75) << kind << " by last use: " << by_last_use;
  }
}

TEST(WorthDays, AreTheSameFromTheSameSeedAlone) {
  const auto one = *make_days("same", 4);
  const auto again = *make_days("same", 4);
  ASSERT_EQ(one.size(), again.size());
  EXPECT_EQ(one.back().at, again.back().at);
  EXPECT_EQ(one.back().touches.back().id, again.back().touches.back().id);
  EXPECT_NE(one.back().at, make_days("same", 5)->back().at);
  EXPECT_FALSE(make_days("sunday", 4));
}

// By hand: a disk of 100 takes both images, and the third makes one of them go. What is touched again and is gone
// costs.
TEST(WorthReplay, CountsWhatJobsWaitFor) {
  std::istringstream lines(R"(
{"at": 0, "job": "a-1", "touches": [{"kind": "image", "id": "dear", "name": "a:1", "bytes": 40, "cost_seconds": 60}]}
{"at": 60, "job": "b-1", "touches": [{"kind": "image", "id": "cheap", "name": "b:1", "bytes": 40, "cost_seconds": 1}]}
{"at": 120, "job": "c-1", "touches": [{"kind": "image", "id": "third", "name": "c:1", "bytes": 10, "cost_seconds": 5}]}
{"at": 180, "job": "a-2", "touches": [{"kind": "image", "id": "dear", "name": "a:1", "bytes": 40, "cost_seconds": 60}]}
)");
  const auto trace = read_trace(lines);
  ASSERT_TRUE(trace) << trace.error().message();
  const auto by_value = replay(*trace, {100, ReplayPolicy::kValue, 0, 1});
  EXPECT_EQ(by_value.jobs, 4U);
  EXPECT_EQ(by_value.evicted_bytes, 40);
  EXPECT_EQ(by_value.evictions, 1U);
  EXPECT_EQ(by_value.rebuild_seconds, 66);
  EXPECT_EQ(replay(*trace, {100, ReplayPolicy::kLastUse, 0, 1}).rebuild_seconds, 126);
  EXPECT_EQ(replay(*trace, {100, ReplayPolicy::kClairvoyant, 0, 1}).rebuild_seconds, 66);
}

TEST(WorthTrace, IsReadAsItWasWrittenAndSaysWhichLineIsWrong) {
  const auto days = *make_days("small", 2);
  std::stringstream lines;
  write_trace(days, lines);
  const auto read = read_trace(lines);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->size(), days.size());
  EXPECT_EQ(bytes_of_a_day(*read), bytes_of_a_day(days));
  EXPECT_EQ(read->back().touches.back().parents, days.back().touches.back().parents);
  std::istringstream wrong(
      "{\"at\": 2, \"job\": \"a\", \"touches\": []}\n{\"at\": 1, \"job\": \"b\", \"touches\": []}");
  EXPECT_EQ(read_trace(wrong).error().message(), "line 2: at is before that of the job above");
}

}  // namespace
}  // namespace buildwarden::testing
