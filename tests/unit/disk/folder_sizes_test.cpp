// Who has the disk beside the engine's images and caches, on real folders.
#include "daemon/filesystems/folder_sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/format.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// The test's own folder as a filesystem of its own, at its level.
class OwnFilesystem final : public ports::BallastFilesystems {
 public:
  explicit OwnFilesystem(const std::string& path) {
    struct stat what{};
    ::stat(path.c_str(), &what);
    disk.device = device_label(what.st_dev);
    disk.mount = path;
    disk.reading.emplace();
    disk.reading->total = 100 * kMiB;
    disk.pressure.level = policy::Level::kLow;
  }
  [[nodiscard]] std::vector<ports::FilesystemSnapshot> answered() const override { return {disk}; }
  [[nodiscard]] const std::vector<MountEntry>& mounts() const override { return table; }
  void show_ballast(const std::string&, ports::BallastView) override {}
  void forget_history(const std::string&) override {}
  ports::FilesystemSnapshot disk;
  std::vector<MountEntry> table;
};

class FolderSizesTest : public ::testing::Test {
 protected:
  FolderSizesTest() {
    settings_.paths.builds = path("agent/builds");
    settings_.paths.git_mirrors = "";
  }
  [[nodiscard]] std::string path(const std::string& name) const { return temp_.path() + "/" + name; }
  void write(const std::string& name, Bytes bytes) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name)) << std::string(static_cast<std::size_t>(bytes), 'x');
  }
  std::vector<std::string> users() const {
    std::vector<std::string> shown;
    for (const auto& user : sizes_.users_on(own_.disk.device)) {
      const auto name = user.name.starts_with(temp_.path()) ? user.name.substr(temp_.path().size()) : user.name;
      shown.push_back(format("{} {} {}", user.kind, name, user.bytes / kMiB));
    }
    return shown;
  }
  void turn() { testing::run_void(loop_, sizes_.turn()); }

  testing::TempFolder temp_;
  Settings settings_;
  testing::FakeClock clock_;
  boost::asio::io_context loop_;
  OwnFilesystem own_{temp_.path()};
  testing::FakeImageEngine engine_;
  EngineHome home_{path("docker"), {}, false, false};
  FolderSizes sizes_{{settings_, clock_, own_, engine_, [this] { return home_; },
                      [](const std::string& volume) { return volume == "buildwarden_s3"; }}};
};

TEST_F(FolderSizesTest, TellVolumesLogsAndTheLargestOtherFolders) {
  const std::string id(64, 'a');
  engine_.add_container("web", "sha256:1");
  engine_.containers.back().id = id;
  write("docker/volumes/db/_data/file", 6 * kMiB);
  write("docker/volumes/small/_data/file", 10);
  write("docker/volumes/buildwarden_s3/_data/file", 5 * kMiB);
  write("docker/containers/" + id + "/json.log", 4 * kMiB);
  write("docker/overlay2/layer/file", 9 * kMiB);
  write("agent/builds/checkout/file", 9 * kMiB);
  write("agent/other/file", 3 * kMiB);
  write("var/log/file", 8 * kMiB);
  write("tiny/file", kMiB / 2);
  turn();
  EXPECT_THAT(users(),
              UnorderedElementsAre("volume db 6", "container_log web 4", "folder /var 8", "folder /agent/other 3"));
  EXPECT_EQ(sizes_.users_on(own_.disk.device).front().looked_at, clock_.now().wall);
  EXPECT_THAT(sizes_.users_on("0:0"), IsEmpty());
}

TEST_F(FolderSizesTest, ADiskWithRoomIsNotWalkedThroughAndItsFiguresGo) {
  write("var/file", 8 * kMiB);
  own_.disk.pressure.level = policy::Level::kOk;
  turn();
  EXPECT_THAT(users(), IsEmpty());
  own_.disk.pressure.level = policy::Level::kUnknown;
  turn();
  EXPECT_THAT(users(), IsEmpty()) << "unknown is no need";
  own_.disk.pressure.level = policy::Level::kCritical;
  turn();
  EXPECT_THAT(users(), ElementsAre("folder /var 8"));
  own_.disk.pressure.level = policy::Level::kOk;
  clock_.advance(std::chrono::minutes{59});
  turn();
  EXPECT_THAT(users(), ElementsAre("folder /var 8"));
  clock_.advance(std::chrono::minutes{2});
  turn();
  EXPECT_THAT(users(), IsEmpty());
}

TEST_F(FolderSizesTest, OneWalkIsEnoughForTenMinutes) {
  write("var/file", 8 * kMiB);
  turn();
  write("srv/file", 9 * kMiB);
  clock_.advance(std::chrono::minutes{9});
  turn();
  EXPECT_THAT(users(), ElementsAre("folder /var 8"));
  clock_.advance(std::chrono::minutes{2});
  turn();
  EXPECT_THAT(users(), ElementsAre("folder /srv 9", "folder /var 8"));
}

// A mount that hangs would hold the walk, and the daemon's end, for ever.
TEST_F(FolderSizesTest, TheBallastIsNobodysFolder) {
  settings_.paths.state = path("state");
  write(".buildwarden/ballast", 3 * kMiB);
  write("state/ballast", 3 * kMiB);
  write("state/seeds/one", 2 * kMiB);
  turn();
  EXPECT_THAT(users(), ElementsAre("folder /state/seeds 2"));
}

TEST_F(FolderSizesTest, WhatIsMountedIsNeverTouched) {
  write("mnt/efs/file", 8 * kMiB);
  write("mnt/here/file", 7 * kMiB);
  own_.table.emplace_back().mount_point = path("mnt/efs");
  turn();
  EXPECT_THAT(users(), ElementsAre("folder /mnt/here 7"));
}

TEST_F(FolderSizesTest, AFolderThatALinkLeadsToIsNotCountedTwice) {
  write("ephemeral/docker/overlay2/file", 8 * kMiB);
  std::filesystem::create_symlink(path("ephemeral/docker"), path("docker"));
  turn();
  EXPECT_THAT(users(), IsEmpty());
}

TEST_F(FolderSizesTest, WithoutTheEngineALogIsCalledByItsId) {
  write("docker/containers/0123456789abcdef/json.log", 4 * kMiB);
  turn();
  EXPECT_THAT(users(), ElementsAre("container_log 0123456789ab 4"));
}

}  // namespace
}  // namespace buildwarden::disk
