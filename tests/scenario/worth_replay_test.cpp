// Days of a CI host replayed: what jobs wait for by worth, by last use, and by who knows the future.
#include <gtest/gtest.h>

#include <array>
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

}  // namespace
}  // namespace buildwarden::testing
