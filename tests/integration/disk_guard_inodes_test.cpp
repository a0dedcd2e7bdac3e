// A disk with bytes enough that runs out of inodes: the guardian reclaims by them in the same way.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/support/guard_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

class DiskGuardInodes : public GuardFixture {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return "--size 3G --inodes 24000"; }
  // critical 3000 inodes, low 3750, target 4500.
  // `age`: keep_used_within in seconds.
  [[nodiscard]] static DaemonOptions options(int age, bool dry_run) {
    auto options = guard_options(std::to_string(age) + "s", std::to_string(age / 2) + "s", 3'000);
    options.dry_run = dry_run;
    return options;
  }
  [[nodiscard]] std::string level() const { return query("/v1/disk", ".filesystems[0].level"); }
};

TEST_F(DiskGuardInodes, ReclaimsByLastUseUntilThereAreInodes) {
  start_daemon(options(6, true));
  const std::vector<std::string> by_last_use = {"lru/c:1", "lru/a:1", "lru/e:1", "lru/b:1", "lru/d:1"};
  for (const std::string name : {"a", "b", "c", "d", "e"}) make_image_of_files("lru/" + name + ":1", 1'000);
  for (const std::string tag : {"busy/x:1", "fresh/x:1"}) make_image_of_files(tag, 1'000);
  on_engine("docker run -d --network none --name holds busy/x:1 /busybox sleep 600");
  for (const auto& tag : by_last_use) use(tag);
  // What is used again must be young until a daemon that was started after it has reclaimed, however busy the machine
  // is.
  const auto begun = std::chrono::steady_clock::now();
  use("fresh/x:1");
  EXPECT_EQ(stop_daemon(), 0);
  start_daemon(options(6, true));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  const int age = std::max(6, static_cast<int>(10 * took.count()));
  EXPECT_EQ(stop_daemon(), 0);
  start_daemon(options(age, true));
  wait_until_old("lru/d:1");
  use("fresh/x:1");

  // Files of nothing: no byte is missing.
  const auto too_many = std::to_string(free_inodes() - 2'000);
  on_engine("mkdir " + dir() + "/disk/many; cd " + dir() + "/disk/many; seq " + too_many + " | xargs touch");
  const auto before = engine_contents();
  ASSERT_TRUE(eventually([this] { return level() == "critical"; })) << api("/v1/disk");
  EXPECT_THAT(api("/v1/disk"), HasSubstr("inodes"));
  ASSERT_TRUE(eventually([this] { return reasons("reclaim.short").find("4500 wanted") != std::string::npos; }));
  EXPECT_EQ(engine_contents(), before) << "a dry run";
  EXPECT_THAT(reasons("reclaim.short"), HasSubstr("how many inodes they give back shows only when"));
  const auto planned = names_of(last_plan(), "images");

  use("fresh/x:1");
  EXPECT_EQ(stop_daemon(), 0);
  start_daemon(options(age, false));
  ASSERT_TRUE(eventually([this] { return !reasons("reclaim.done").empty(); })) << log();
  const auto done = names_of(steps(), "images");
  EXPECT_GE(free_inodes(), 4'500);
  EXPECT_EQ(level(), "ok");
  ASSERT_GE(done.size(), 2U);
  // What an image gives back in inodes nobody knows before: the plan names at least as much, in the same order.
  ASSERT_GE(planned.size(), done.size());
  EXPECT_THAT(done, ElementsAreArray(planned.begin(), planned.begin() + static_cast<std::ptrdiff_t>(done.size())));
  EXPECT_THAT(done,
              ElementsAreArray(by_last_use.begin(), by_last_use.begin() + static_cast<std::ptrdiff_t>(done.size())));
  for (const std::string tag : {"busy/x:1", "fresh/x:1"}) EXPECT_TRUE(has_image(tag)) << tag;
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr("inodes free of 4500 wanted"));
}

}  // namespace
}  // namespace buildwarden::testing
