// A job of the agent's user, without Docker and without root, that owns the agent's home: what it puts in the place of
// root's files there.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "tests/support/hostile_user.h"
#include "tests/support/plain_daemon.h"
#include "tests/support/small_disk.h"

namespace buildwarden {
namespace {

namespace fs = std::filesystem;
using testing::as_user;
using testing::eventually;
using ::testing::HasSubstr;
using testing::kJobUser;
using testing::SmallDisk;

constexpr int kDiskMiB = 256;

class HostileFilesTest : public testing::PlainDaemonFixture {
 protected:
  void SetUp() override {
    PlainDaemonFixture::SetUp();
    if (IsSkipped()) return;
    if (::geteuid() != 0) GTEST_SKIP() << "these tests are root's";
    disk_ = std::make_unique<SmallDisk>("ext4", kDiskMiB);
    fs::permissions(in(""), fs::perms(0755));
    fs::create_directories(in("agent"));
    ASSERT_EQ(::chown(in("agent").c_str(), kJobUser, kJobUser), 0);
    std::ofstream(in("agent/cfn-env")) << "set_always \"BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL\" \"false\"\n";
    std::ofstream(in("agent/env")) << "DISK_MIN_AVAILABLE=20480\n";
    make_cache("old");
    write_yaml("/nonexistent/docker.sock",
               "watch: [{path: " + disk_->path() + "}], min_free_inodes: 0, reclaim_below: 40%, reclaim_to: 60%, " +
                   "keep_used_within: 0s, grace: 0s, ballast: 0B, cache_dirs: [" + cache() + "]",
               "listen: { socket: " + api_socket() + ", tcp: \"\" }\n");
  }
  void TearDown() override {
    if (has_started()) stop_daemon();
    PlainDaemonFixture::TearDown();
    disk_.reset();
  }

  [[nodiscard]] std::string cache() const { return disk_->path() + "/cache/tools"; }
  void make_cache(const std::string& name) const {
    fs::create_directories(cache() + "/" + name);
    std::ofstream(cache() + "/" + name + "/file") << std::string(40 << 20, 'c');
  }
  // In the home, root's file moved away and something else in its place.
  template <class Make>
  [[nodiscard]] bool job_replaces(const std::string& name, Make make) const {
    const auto path = in("agent/" + name);
    return as_user(kJobUser,
                   [path, make] { return ::rename(path.c_str(), (path + ".old").c_str()) == 0 && make(path); });
  }
  [[nodiscard]] bool job_makes_pipes() const {
    const auto pipe = [](const std::string& path) { return ::mkfifo(path.c_str(), 0666) == 0; };
    return job_replaces("cfn-env", pipe) && job_replaces("env", pipe);
  }
  [[nodiscard]] int events(const std::string& kind) const {
    return std::stoi("0" + query("/v1/events", "[.events[] | select(.kind == \"" + kind + "\")] | length"));
  }
  [[nodiscard]] std::string setting(const std::string& key) const {
    return query("/v1/config", ".settings[] | select(.key == \"" + key + "\") | .value");
  }
  void fill_to_below_the_mark() const { std::ofstream(disk_->path() + "/filler") << std::string(130 << 20, 'f'); }

  std::unique_ptr<SmallDisk> disk_;
};

TEST_F(HostileFilesTest, PipesInThePlaceOfRootsFilesKeepNoReclaimAndNoStartWaiting) {
  start_daemon();
  wait_until_it_answers();
  ASSERT_TRUE(eventually([&] { return setting("disk.min_free") == "20MiB"; }));
  ASSERT_TRUE(job_makes_pipes());
  ASSERT_TRUE(eventually([&] { return events("config.distrusted") > 0; })) << log();
  EXPECT_EQ(setting("disk.min_free"), "20MiB") << "what root's file said goes on to count";
  fill_to_below_the_mark();
  ASSERT_TRUE(eventually([&] { return !fs::exists(cache() + "/old"); })) << log();
  EXPECT_GT(events("reclaim.step"), 0);
  EXPECT_EQ(stop_daemon(), 0) << log();

  start_daemon();
  wait_until_it_answers();
  EXPECT_EQ(setting("disk.min_free"), "5GiB") << "nothing of root's is known";
  EXPECT_TRUE(becomes("/v1/disk", ".filesystems[] | select(.gate) | .level != \"unknown\"", "true"));
}

TEST_F(HostileFilesTest, AJobsOwnConfigurationNeitherDeletesNorTerminates) {
  start_daemon();
  wait_until_it_answers();
  ASSERT_TRUE(job_replaces("cfn-env", [](const std::string& path) {
    return (std::ofstream(path) << "set_always \"BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL\" \"true\"\n"
                                   "set_always \"BUILDKITE_PURGE_BUILDS_ON_DISK_FULL\" \"true\"\n")
        .good();
  }));
  ASSERT_TRUE(job_replaces(
      "env", [](const std::string& path) { return (std::ofstream(path) << "DISK_MIN_AVAILABLE=999999999\n").good(); }));
  ASSERT_TRUE(eventually([&] {
    return query("/v1/events", "[.events[] | select(.kind == \"config.distrusted\")] | last | .fields.files") == "2";
  })) << log();
  EXPECT_THAT(get("/readyz"), HasSubstr("others than root may write to it"));
  EXPECT_EQ(setting("disk.min_free"), "20MiB");
  EXPECT_EQ(setting("on_full.terminate_instance"), "false");
  EXPECT_EQ(setting("on_full.purge_builds"), "false");
  EXPECT_EQ(query("/v1/disk", ".filesystems[0].level"), "ok");
  EXPECT_TRUE(fs::exists(cache() + "/old"));
  EXPECT_EQ(events("reclaim.step"), 0);
}

TEST_F(HostileFilesTest, AMarkBeyondTheDiskThatRootWroteIsSaidAndDeletesNothing) {
  start_daemon();
  wait_until_it_answers();
  std::ofstream(in("agent/env")) << "DISK_MIN_AVAILABLE=999999999\n";
  ASSERT_TRUE(eventually([&] { return events("disk.marks") > 0; })) << log();
  EXPECT_THAT(query("/v1/disk", ".filesystems[0].marks.mistake"), HasSubstr("disk.min_free"));
  EXPECT_EQ(query("/v1/disk", ".filesystems[0].level"), "ok");
  EXPECT_TRUE(fs::exists(cache() + "/old"));
  EXPECT_EQ(events("reclaim.step"), 0);
}

}  // namespace
}  // namespace buildwarden
