#include "daemon/filesystems/path_sampler.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "common/atomic_file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_paths.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

using testing::run_on;

constexpr const char* kRootLine = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n";

std::shared_ptr<MountTable> table_of(const std::string& file) { return std::make_shared<MountTable>(file); }

class PathSamplerTest : public ::testing::Test {
 protected:
  PathSamplerTest() : sampler_(paths_.function(), table_of(folder_.path() + "/mountinfo"), timing()) {
    mounts(kRootLine);
  }
  static PathSamplerTiming timing() {
    PathSamplerTiming timing;
    timing.patience = Duration{1'000};  // waited out only by what hangs
    return timing;
  }
  void mounts(const std::string& text) { ASSERT_TRUE(write_file_atomically(folder_.path() + "/mountinfo", text)); }
  std::vector<Sample> sample(const std::vector<std::string>& paths) {
    return run_on(loop_, sampler_.sample(paths, clock_.now()));
  }

  testing::TempFolder folder_;
  testing::FakeClock clock_;
  testing::FakePaths paths_;
  boost::asio::io_context loop_;
  PathSampler sampler_;
};

TEST_F(PathSamplerTest, AnswersForEveryPathInOrder) {
  paths_.put("/a", 1, 10);
  const auto samples = sample({"/a", "/b"});
  ASSERT_EQ(samples.size(), 2U);
  ASSERT_TRUE(samples[0].snapshot);
  EXPECT_EQ(samples[0].snapshot->free, 10 * kGiB);
  EXPECT_FALSE(samples[1].snapshot);
  EXPECT_TRUE(samples[1].absent);
  EXPECT_EQ(samples[1].error, "no /b");
}

TEST_F(PathSamplerTest, AHungMountBlocksNobodyAndGetsNoSecondRequest) {
  paths_.put("/a", 1, 10);
  paths_.put("/hung", 2, 10);
  paths_.hang("/hung");
  auto samples = sample({"/hung", "/a"});
  EXPECT_TRUE(samples[1].snapshot);
  EXPECT_FALSE(samples[0].snapshot);
  EXPECT_EQ(samples[0].error, "");  // still in time
  clock_.advance(Duration{6'000});
  samples = sample({"/hung", "/a"});
  EXPECT_TRUE(samples[1].snapshot);
  EXPECT_EQ(samples[0].error, "/hung has not answered for 6s: its filesystem hangs");
  EXPECT_EQ(paths_.calls("/hung"), 1);
  paths_.release_all();
  // The late answer is too old; it is asked anew as soon as the thread is free.
  testing::run_until(loop_, [this] { return sample({"/hung"})[0].snapshot.has_value(); });
}

TEST_F(PathSamplerTest, OneRequestForAllPathsOfAHungDevice) {
  mounts(std::string(kRootLine) + "30 21 8:2 / /data rw - ext4 /dev/sdb rw\n");
  for (const auto* path : {"/data/a", "/data/b"}) paths_.put(path, 2, 10);
  sample({"/data/a", "/data/b"});
  for (const auto* path : {"/data/a", "/data/b"}) paths_.hang(path);
  sample({"/data/a", "/data/b"});
  sample({"/data/a", "/data/b"});
  EXPECT_EQ(paths_.calls("/data/a") + paths_.calls("/data/b"), 3);
}

TEST_F(PathSamplerTest, AHungMountOverOnePathLeavesItsNeighboursAlone) {
  for (const auto* path : {"/d/a", "/d/b"}) paths_.put(path, 1, 10);
  sample({"/d/a", "/d/b"});
  mounts(std::string(kRootLine) + "30 21 0:50 / /d/a rw - nfs4 server:/ rw\n");
  paths_.hang("/d/a");
  for (int turn = 0; turn < 3; ++turn) {
    const auto samples = sample({"/d/a", "/d/b"});
    EXPECT_FALSE(samples[0].snapshot);
    EXPECT_TRUE(samples[1].snapshot);
  }
}

TEST_F(PathSamplerTest, ALateAnswerIsTakenByTheNextSampleWithTheTimeOfItsRequest) {
  paths_.put("/slow", 2, 10);
  paths_.hang("/slow");
  const auto asked = clock_.now();
  EXPECT_FALSE(sample({"/slow"})[0].snapshot);
  clock_.advance(Duration{1'000});
  const auto guard = boost::asio::make_work_guard(loop_);
  loop_.restart();
  paths_.release_all();
  ASSERT_EQ(loop_.run_one_for(testing::kTestPatience), 1U);  // the worker says that it is done
  paths_.hang("/slow");
  const auto late = sample({"/slow"})[0];
  ASSERT_TRUE(late.snapshot);
  EXPECT_EQ(late.asked.boot, asked.boot);
}

TEST(StatWorkers, TheEndOfASamplerDoesNotWaitForAHungMount) {
  testing::FakePaths paths;
  testing::FakeClock clock;
  boost::asio::io_context loop;
  paths.hang("/hung");
  {
    PathSamplerTiming timing;
    timing.patience = Duration{5};
    PathSampler sampler(paths.function(), table_of("/nonexistent"), timing);
    const auto samples = run_on(loop, sampler.sample(std::vector<std::string>{"/hung"}, clock.now()));
    EXPECT_FALSE(samples[0].snapshot);
  }
  // Released by the end of the test, and then nobody is left whom it could tell.
  EXPECT_LE(paths.calls("/hung"), 1);
}

TEST(Mounts, TheDeepestAndLastMountCounts) {
  const auto mounts = parse_mountinfo(
      "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
      "30 21 8:2 / /mnt/a\\040b rw - ext4 /dev/sdb rw\n"
      "31 21 8:3 / /mnt/a\\040b rw master:3 propagate_from:1 - xfs /dev/sdc rw\n"
      "32 21 8:4 / /ro ro,relatime - ext4 /dev/sdd rw\n"
      "33 21 8:5 / /error rw,relatime - ext4 /dev/sde ro,errors=remount-ro\n"
      "nonsense\n");
  ASSERT_EQ(mounts.size(), 5U);
  const auto* mount = mount_of(mounts, "/mnt/a b/c");
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(mount->device, "8:3");
  EXPECT_EQ(mount->source, "/dev/sdc");
  EXPECT_EQ(mount->type, "xfs");
  EXPECT_EQ(mount_of(mounts, "/mnt/a bc")->device, "8:1");
  EXPECT_EQ(mount_of({}, "/mnt"), nullptr);
  EXPECT_FALSE(mount->read_only);
  EXPECT_TRUE(mount_of(mounts, "/ro")->read_only);
  EXPECT_TRUE(mount_of(mounts, "/error/x")->read_only);
}

}  // namespace
}  // namespace buildwarden::disk
