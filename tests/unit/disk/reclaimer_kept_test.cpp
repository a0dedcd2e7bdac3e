// What a plan leaves alone, and why: for who asks where the disk has gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/format.h"
#include "tests/unit/disk/places_fixture.h"

namespace buildwarden::disk {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ReclaimerKeptTest : public ReclaimerPlacesTest {
 protected:
  ports::SpaceResult plan(bool list_kept) {
    ports::SpaceRequest request;
    request.free = 100 * kGiB;
    request.wait = std::chrono::minutes{5};
    request.dry_run = true;
    request.quiet = true;
    request.list_kept = list_kept;
    const auto result = testing::run_on(loop_, reclaimer_.ensure(request, [](const std::string&) {}));
    EXPECT_TRUE(result);
    return result ? *result : ports::SpaceResult{};
  }
};

TEST_F(ReclaimerKeptTest, IsInThePlanOnlyWhenItWasAskedFor) {
  disks_.add("8:2", "builds", 1 * kGiB).gate = true;
  trash_.put("old", "8:2");
  trash_.put("busy", "8:2").in_use_by = "container web";
  const auto asked = plan(true);
  ASSERT_EQ(asked.kept.size(), 1U);
  EXPECT_EQ(asked.kept[0].what, "busy");
  EXPECT_EQ(asked.kept[0].rung, "leftovers");
  EXPECT_EQ(asked.kept[0].mount, "/builds");
  EXPECT_EQ(asked.kept[0].size, 5 * kGiB);
  EXPECT_EQ(asked.kept[0].reason, "in use by container web");
  EXPECT_EQ(asked.kept[0].rule, "in_use");
  ASSERT_EQ(asked.steps.size(), 1U);
  EXPECT_EQ(asked.steps[0].mount, "/builds");
  const auto unasked = plan(false);
  EXPECT_THAT(unasked.kept, IsEmpty());
  EXPECT_EQ(unasked.steps.size(), 1U);
}

TEST_F(ReclaimerKeptTest, IsBoundedAndSaysHowManyMoreThereAre) {
  disks_.add("8:2", "builds", 1 * kGiB).gate = true;
  for (std::size_t i = 0; i < ports::kMostKeptOfRung + 7; ++i) {
    auto& one = trash_.put(format("busy {}", i), "8:2");
    one.in_use_by = "container web";
    one.size = static_cast<Bytes>(i);
  }
  const auto result = plan(true);
  EXPECT_EQ(result.kept.size(), ports::kMostKeptOfRung);
  EXPECT_EQ(result.kept_left_off, 7U);
  for (const auto& one : result.kept) EXPECT_GE(one.size, 7) << one.what;
}

}  // namespace
}  // namespace buildwarden::disk
