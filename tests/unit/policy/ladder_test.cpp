#include "daemon/policy/ladder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ostream>
#include <string>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// "4.1 7d e": rung, pass, age, and e for the engine's own cache, t for terminate.
std::string show(const std::vector<RungTurn>& turns) {
  std::string text;
  for (const auto& turn : turns) {
    text += format("{}{}.{} {}{}{}", text.empty() ? "" : ", ", static_cast<int>(turn.rung), turn.pass,
                   format_duration(turn.age), turn.engine_cache ? " e" : "", turn.terminate ? " t" : "");
  }
  return text;
}

LadderRequest request_at(Level level) {
  LadderRequest request;
  request.level = level;
  request.keep_used_within = hours{24};
  request.grace = minutes{10};
  return request;
}

TEST(Ladder, AtLowTheRungsGoDownToTheAge) {
  const std::string expected = "1.1 1d, 2.1 1d, 10.1 1d, 3.1 1d, 4.1 1d, 5.1 1d, 6.1 10m, 7.1 1d";
  EXPECT_EQ(show(climb(request_at(Level::kLow))), expected);
  EXPECT_EQ(show(climb(request_at(Level::kOk))), expected);
}

TEST(Ladder, AtCriticalASecondPassGoesDownToTheGraceAndNewJobsAreRefused) {
  const std::string expected =
      "1.1 1d e, 2.1 1d e, 10.1 1d e, 3.1 1d e, 4.1 1d e, 5.1 1d e, 6.1 10m e, 7.1 1d e, "
      "2.2 10m e, 3.2 10m e, 4.2 10m e, 5.2 10m e, 6.2 10m e, 7.2 4h e, 9.2 10m e";
  EXPECT_EQ(show(climb(request_at(Level::kCritical))), expected);
  EXPECT_EQ(show(climb(request_at(Level::kExhausted))), expected);
}

// Issue 18: images and caches in one order, in the place of the three.
TEST(Ladder, ByValueImagesAndCachesAreOneRung) {
  auto request = request_at(Level::kCritical);
  request.by_value = true;
  EXPECT_EQ(show(climb(request)),
            "1.1 1d e, 2.1 1d e, 10.1 1d e, 3.1 1d e, 12.1 1d e, 7.1 1d e, 2.2 10m e, 3.2 10m e, 12.2 10m e, 7.2 4h e, "
            "9.2 10m e");
  request.level = Level::kLow;
  EXPECT_EQ(show(climb(request)), "1.1 1d, 2.1 1d, 10.1 1d, 3.1 1d, 12.1 1d, 7.1 1d");
  request.only_gentle = true;
  EXPECT_EQ(show(climb(request)), "1.1 1d, 2.1 1d, 3.1 1d");
}

TEST(Ladder, AtUnknownNothingIsDone) { EXPECT_TRUE(climb(request_at(Level::kUnknown)).empty()); }

bool has(const std::vector<RungTurn>& turns, RungId rung) {
  for (const auto& turn : turns) {
    if (turn.rung == rung) return true;
  }
  return false;
}

struct FlagCase {
  Level level;
  bool purge;
  bool terminate;
  bool checkouts;
  bool last_resort;
  bool terminates;
};

TEST(Ladder, CheckoutsAndTerminationNeedTheirFlagAndCritical) {
  const FlagCase cases[] = {
      {Level::kLow, true, true, false, false, false},       {Level::kOk, true, true, false, false, false},
      {Level::kCritical, false, false, false, true, false}, {Level::kCritical, true, false, true, true, false},
      {Level::kCritical, false, true, false, true, true},   {Level::kExhausted, true, true, true, true, true},
      {Level::kUnknown, true, true, false, false, false},
  };
  for (const auto& c : cases) {
    auto request = request_at(c.level);
    request.purge_builds = c.purge;
    request.terminate_instance = c.terminate;
    const auto turns = climb(request);
    SCOPED_TRACE(format("{} purge={} terminate={}", to_string(c.level), c.purge, c.terminate));
    EXPECT_EQ(has(turns, RungId::kCheckouts), c.checkouts);
    ASSERT_EQ(has(turns, RungId::kLastResort), c.last_resort);
    if (!c.last_resort) continue;
    EXPECT_EQ(turns.back().rung, RungId::kLastResort);
    EXPECT_EQ(turns.back().terminate, c.terminates);
  }
}

// A checkout keeps the mirror whose objects it reads, so checkouts go first.
TEST(Ladder, GitMirrorsNeedTheirFlagAndCriticalAndComeAfterCheckouts) {
  for (const auto level : {Level::kOk, Level::kLow, Level::kCritical, Level::kExhausted, Level::kUnknown}) {
    auto request = request_at(level);
    request.purge_builds = true;
    EXPECT_FALSE(has(climb(request), RungId::kGitMirrors));
    request.purge_mirrors = true;
    const auto turns = climb(request);
    const bool is_critical = level == Level::kCritical || level == Level::kExhausted;
    ASSERT_EQ(has(turns, RungId::kGitMirrors), is_critical);
    if (!is_critical) continue;
    EXPECT_EQ(turns.at(turns.size() - 3).rung, RungId::kCheckouts);
    EXPECT_EQ(turns.at(turns.size() - 2).rung, RungId::kGitMirrors);
    EXPECT_EQ(turns.at(turns.size() - 2).age, Duration{request.grace});
    request.only_gentle = true;
    EXPECT_FALSE(has(climb(request), RungId::kGitMirrors));
  }
}

TEST(Ladder, OnlyGentleNeverGoesBeyondDanglingImages) {
  for (const auto level : {Level::kLow, Level::kCritical, Level::kExhausted}) {
    auto request = request_at(level);
    request.only_gentle = true;
    request.purge_builds = true;
    request.terminate_instance = true;
    const auto turns = climb(request);
    ASSERT_GE(turns.size(), 3U);
    for (const auto& turn : turns) EXPECT_LE(turn.rung, RungId::kDanglingImages);
  }
}

TEST(Ladder, TheEnginesCacheTakesPartWhenAskedOrAtCritical) {
  auto request = request_at(Level::kLow);
  EXPECT_FALSE(climb(request).at(4).engine_cache);
  request.builder_prune = true;
  EXPECT_TRUE(climb(request).at(4).engine_cache);
}

TEST(Ladder, AGraceAboveTheAgeRaisesIt) {
  auto request = request_at(Level::kLow);
  request.keep_used_within = minutes{5};
  request.grace = minutes{30};
  EXPECT_EQ(climb(request).at(5).age, Duration{minutes{30}});
}

TEST(Goal, IsMetByEqualBytesAndInodes) {
  const Goal goal{.free = 100, .free_inodes = 10};
  const auto reading = [](Bytes free, std::int64_t total_inodes, std::int64_t inodes) {
    return Reading{1000, free, total_inodes, inodes, {}};
  };
  EXPECT_TRUE(reached(goal, reading(100, 50, 10)));
  EXPECT_FALSE(reached(goal, reading(99, 50, 10)));
  EXPECT_FALSE(reached(goal, reading(100, 50, 9)));
  EXPECT_TRUE(reached(goal, reading(100, 0, 0)));
}

TEST(RungNames, AreThoseOfTheContract) {
  const std::pair<RungId, const char*> names[] = {
      {RungId::kLeftovers, "leftovers"},
      {RungId::kContainers, "containers"},
      {RungId::kAnonymousVolumes, "anonymous_volumes"},
      {RungId::kDanglingImages, "dangling_images"},
      {RungId::kBuildCache, "build_cache"},
      {RungId::kImages, "images"},
      {RungId::kBuildCacheShare, "build_cache_share"},
      {RungId::kOrphans, "orphans"},
      {RungId::kCheckouts, "checkouts"},
      {RungId::kGitMirrors, "git_mirrors"},
      {RungId::kLastResort, "last_resort"},
  };
  for (const auto& [rung, name] : names) EXPECT_EQ(to_string(rung), name);
}

}  // namespace
}  // namespace buildwarden::policy
