#include "daemon/policy/eviction_order.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ostream>

#include "common/format.h"
#include "tests/unit/policy/eviction_cases.h"

namespace buildwarden::policy {
namespace {

using cases::kAtEviction;
using cases::rules_of;
using std::chrono::hours;
using std::chrono::minutes;

Candidate image(std::string id, Duration unused, Bytes size = 100) {
  Candidate candidate;
  candidate.id = std::move(id);
  candidate.size = size;
  candidate.last_use = {kAtEviction.wall - unused, unused};
  candidate.references = {candidate.id + ":latest"};
  return candidate;
}

std::vector<std::string> ids(const std::vector<Candidate>& candidates) {
  std::vector<std::string> result;
  result.reserve(candidates.size());
  for (const auto& candidate : candidates) result.push_back(candidate.id);
  return result;
}

using Ids = std::vector<std::string>;

TEST(Rank, LeastRecentlyUsedFirstThenLargestThenById) {
  const auto ranking = rank({image("young", hours{5}), image("b", hours{6}), image("a", hours{6}),
                             image("large", hours{6}, 200), image("oldest", hours{9}, 1)},
                            rules_of(hours{4}), kAtEviction);
  EXPECT_EQ(ids(ranking.order), (Ids{"oldest", "large", "a", "b", "young"}));
  EXPECT_TRUE(ranking.skipped.empty());
}

struct SkipCase {
  const char* name;
  Candidate candidate;
  const char* rule;  // "" = it may go
  const char* why;
};

std::vector<SkipCase> skip_cases() {
  auto used = image("x", hours{9});
  used.in_use_by = "container web";
  used.protected_as = "builder image";
  auto guarded = image("x", hours{9});
  guarded.protected_as = "builder image";
  guarded.references = {"keep/me:1"};
  auto kept = image("x", minutes{1});
  kept.references = {"x:1", "keep/me:1"};
  auto observed_shortly = image("x", hours{9});
  observed_shortly.last_use.observed = hours{3};
  auto seen_just_now = image("x", hours{9});
  seen_just_now.last_use.observed = Duration{0};
  auto future = image("x", -hours{1});
  future.last_use.observed = hours{9};
  return {
      {"in use comes first", used, "in_use", "in use by container web"},
      {"protected before keep", guarded, "protected", "protected: builder image"},
      {"keep before grace", kept, "keep", "keep/me:1 matches the pattern keep/* of disk.keep"},
      {"equal to the age may go", image("x", hours{4}), "", ""},
      {"just younger than the age", image("x", hours{4} - Duration{1}), "age",
       "last used 3h 59m ago, less than the age of 4h"},
      {"equal to the grace", image("x", minutes{10}), "age", "last used 10m ago, less than the age of 4h"},
      {"just within the grace", image("x", minutes{10} - Duration{1}), "grace",
       "last used 9m 59s ago, within the grace of 10m"},
      {"old by the wall clock only", observed_shortly, "age", "last used 3h ago, less than the age of 4h"},
      {"never observed", seen_just_now, "grace", "last used 0s ago, within the grace of 10m"},
      {"a stamp from the future", future, "grace", "last used 0s ago, within the grace of 10m"},
  };
}

TEST(Rank, SkipsWithTheFirstRuleThatHolds) {
  auto rules = rules_of(hours{4});
  rules.keep = {"never", "keep/*"};
  for (const auto& c : skip_cases()) {
    SCOPED_TRACE(c.name);
    const auto ranking = rank({c.candidate}, rules, kAtEviction);
    if (std::string_view(c.rule).empty()) {
      EXPECT_EQ(ranking.order.size(), 1U);
      continue;
    }
    EXPECT_TRUE(ranking.order.empty());
    ASSERT_EQ(ranking.skipped.size(), 1U);
    EXPECT_EQ(ranking.skipped[0].rule, c.rule);
    EXPECT_EQ(ranking.skipped[0].why, c.why);
  }
}

struct JobCase {
  const char* name;
  Duration job_age;  // negative: its start is in the future
  Duration wall_age;
  Duration observed;
  bool may_go;
};

TEST(Rank, WhatIsSparedIsSummedByItsRule) {
  auto used = image("used", hours{9}, kGiB);
  used.in_use_by = "container web";
  auto rules = rules_of(hours{4});
  rules.keep = {"kept:*"};
  const auto ranking = rank({used, image("kept", hours{9}, 2 * kGiB), image("young", hours{1}, kMiB),
                             image("younger", hours{2}, kMiB), image("newest", minutes{1}), image("old", hours{9})},
                            rules, kAtEviction);
  const auto sums = spared(ranking.skipped);
  EXPECT_EQ(sums, (SparedByRule{
                      {"in_use", {1, kGiB}}, {"keep", {1, 2 * kGiB}}, {"age", {2, 2 * kMiB}}, {"grace", {1, 100}}}));
  EXPECT_EQ(to_text(sums),
            "1 (1.00 GiB) in use, 1 (2.00 GiB) kept by disk.keep, 1 (100 B) used within disk.grace, 2 (2.0 MiB) used "
            "within disk.keep_used_within");
  EXPECT_EQ(to_text({}), "");
}

TEST(Rank, WhatWasUsedSinceTheOldestJobStartedStays) {
  const JobCase cases[] = {
      {"used before the job", hours{5}, hours{5} + Duration{1}, hours{6}, true},
      {"used as the job started", hours{5}, hours{5}, hours{6}, false},
      {"used since", hours{8}, hours{7}, hours{7}, false},
      {"the wall clock was set forward since", hours{5}, hours{9}, hours{5}, false},
      {"the job's start is in the future", -hours{1}, hours{9}, hours{9}, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    auto rules = rules_of(hours{4});
    rules.oldest_job_start = kAtEviction.wall - c.job_age;
    auto candidate = image("x", c.wall_age);
    candidate.last_use.observed = c.observed;
    const auto ranking = rank({candidate}, rules, kAtEviction);
    ASSERT_EQ(ranking.order.size(), c.may_go ? 1U : 0U);
    if (c.may_go) continue;
    EXPECT_EQ(ranking.skipped.at(0).rule, "running_job");
  }
  auto rules = rules_of(hours{4});
  rules.oldest_job_start = kAtEviction.wall - hours{8};
  EXPECT_EQ(rank({image("x", hours{7})}, rules, kAtEviction).skipped.at(0).why,
            "last used 7h ago, since the start of the oldest running job 8h ago");
}

TEST(AgeOf, IsTheLesserOfBothClocksAndNeverNegative) {
  EXPECT_EQ(age_of({kAtEviction.wall - hours{5}, hours{3}}, kAtEviction), Duration{hours{3}});
  EXPECT_EQ(age_of({kAtEviction.wall - hours{3}, hours{5}}, kAtEviction), Duration{hours{3}});
  EXPECT_EQ(age_of({kAtEviction.wall + hours{3}, hours{5}}, kAtEviction), Duration{0});
  EXPECT_EQ(age_of({WallTime{}, hours{5}}, kAtEviction), Duration{hours{5}});
}

TEST(KeepLargest, LeavesTheLargestInTheirOrder) {
  auto skipped = rank({image("b", hours{1}, 5), image("a", hours{2}, 5), image("large", hours{3}, 9),
                       image("small", hours{1}, 1), image("c", hours{1}, 5)},
                      rules_of(hours{4}), kAtEviction)
                     .skipped;
  ASSERT_EQ(skipped.size(), 5U);
  const auto left = [&skipped](std::size_t most) {
    auto some = skipped;
    keep_largest(some, most);
    Ids names;
    for (const auto& one : some) names.push_back(one.candidate.id);
    return names;
  };
  EXPECT_EQ(left(5), (Ids{"large", "a", "b", "c", "small"}));
  EXPECT_EQ(left(3), (Ids{"large", "a", "b"})) << "of those that are equally large the first ones";
  EXPECT_EQ(left(1), (Ids{"large"}));
  EXPECT_EQ(left(0), Ids{});
}

}  // namespace
}  // namespace buildwarden::policy
