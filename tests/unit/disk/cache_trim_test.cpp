// A cache that is brought down to a size goes by value, whatever its age.
#include "daemon/evictors/cache_trim.h"

#include "tests/support/fixed_worth.h"
#include "tests/unit/disk/build_cache_fixture.h"

namespace buildwarden::disk {
namespace {

class CacheTrimTest : public BuildCacheEvictorTest {
 protected:
  CacheTrimTest() {
    const auto now = clock_.now().wall;
    for (const int uses : {50, 0, 10, 3}) {
      policy::CacheRecord one;
      one.id = format("used{}", uses);
      one.size = kGiB;
      one.created = now - std::chrono::hours{10};
      one.last_used = now - std::chrono::minutes{1};
      one.uses = static_cast<std::uint64_t>(uses);
      cache_.records.push_back(one);
    }
  }
  Result<CacheTrimmed> trim(Bytes most) {
    return testing::run_on(loop_, trim_cache({cache_, "s3", worth_, false, workers_, clock_, meter_, journal_}, most));
  }
  std::vector<std::string> gone() {
    std::vector<std::string> ids;
    for (const auto& prune : cache_.prunes) ids.insert(ids.end(), prune.ids.begin(), prune.ids.end());
    return ids;
  }
  FakeCache cache_;
  testing::FixedWorth worth_;
};

TEST_F(CacheTrimTest, WhatIsWorthLeastGoesFirst) {
  const auto done = trim(2 * kGiB);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(gone(), (std::vector<std::string>{"used0", "used3"}));
  EXPECT_EQ(done->records, 2U);
  EXPECT_EQ(done->bytes, 2 * kGiB);
  EXPECT_EQ(done->left, 2 * kGiB);
  const auto event = journal_.last("seed.trimmed");
  EXPECT_NE(event.reason.find("2 records of builder s3's cache were deleted for its seed"), std::string::npos)
      << event.reason;
  EXPECT_NE(event.reason.find("reported 2.00 GiB"), std::string::npos) << event.reason;
}

TEST_F(CacheTrimTest, WhatFitsStaysAsItIs) {
  ASSERT_TRUE(trim(4 * kGiB));
  EXPECT_TRUE(gone().empty());
  EXPECT_EQ(journal_.count("seed.trimmed"), 0U);
}

TEST_F(CacheTrimTest, WhatStaysIsNoSeedThatFits) {
  cache_.held = {"used0", "used3", "used10", "used50"};
  const auto done = trim(2 * kGiB);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::kTooLarge);
  EXPECT_EQ(journal_.count("seed.trimmed"), 0U) << "nothing went";
  cache_.held = {"used0", "used10", "used50"};
  ASSERT_FALSE(trim(2 * kGiB));
  EXPECT_EQ(journal_.count("seed.trimmed"), 1U) << "what went is told, although it was not enough";
  cache_.fail_prune = Error(Errc::kIo, "no such command");
  EXPECT_EQ(trim(2 * kGiB).error().code(), Errc::kIo);
}

}  // namespace
}  // namespace buildwarden::disk
