#include "daemon/filesystems/image_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ImageStoreTest : public ::testing::Test {
 protected:
  void turn() { testing::run_void(loop_, store_.turn()); }
  // Each folder that is watched, and "i" where images, "v" where volumes are kept.
  [[nodiscard]] std::vector<std::string> watched() const {
    std::vector<std::string> all;
    for (const auto& folder : watched_folders(settings_, store_.home())) {
      auto text = folder.path;
      if (folder.keeps.contains(ports::Kept::kImages)) text += " i";
      if (folder.keeps.contains(ports::Kept::kVolumes)) text += " v";
      const auto role = folder.roles.empty() ? std::string() : folder.roles.front();
      if (!role.empty() && role != "state" && role != "git_mirrors") all.push_back(text);
    }
    return all;
  }

  Settings settings_;
  testing::FakeImageEngine engine_;
  testing::FakeJournal journal_;
  WorkerPool workers_{1};
  boost::asio::io_context loop_;
  Result<std::vector<std::string>> answer_ = Error(Errc::kUnavailable, "nobody answers");
  std::string asked_;
  int changes_ = 0;
  ImageStore store_{ImageStore::Parts{settings_, engine_, journal_, workers_,
                                      [this](const std::string& socket, const std::string& snapshotter) {
                                        asked_ = socket + " " + snapshotter;
                                        return answer_;
                                      },
                                      [this] { ++changes_; }}};
};

// Issue 15: a data root elsewhere was a warning about /var/lib/docker at each start.
TEST_F(ImageStoreTest, OnlyADataRootThatSomebodyNamedMustBeThere) {
  const auto may_be_missing = [this] { return watched_folders(settings_, store_.home()).front().optional; };
  engine_.engine.identity.root_dir.clear();
  EXPECT_TRUE(may_be_missing()) << "the usual place, of which nobody spoke";
  settings_.engine.data_root = "/mnt/docker";
  EXPECT_FALSE(may_be_missing()) << "daemon.json names it";
  engine_.engine.identity.root_dir = "/var/lib/docker";
  EXPECT_FALSE(may_be_missing()) << "the engine names it";
}

TEST_F(ImageStoreTest, WithoutContainerdsStoreTheDataRootHasTheImages) {
  settings_.paths.builds = "/builds";
  turn();
  EXPECT_THAT(watched(),
              ElementsAre("/var/lib/docker i", "/var/lib/docker/volumes v", "/var/lib/containerd", "/builds", "/"));
  EXPECT_EQ(asked_, "");
  EXPECT_EQ(journal_.count("disk.image_store"), 0U);
}

TEST_F(ImageStoreTest, ContainerdsFoldersHaveThemAndNoOther) {
  settings_.paths.builds = "/builds";
  engine_.engine.identity.snapshotter = "overlayfs";
  engine_.engine.identity.containerd = "/run/c.sock";
  EXPECT_THAT(watched(),
              ElementsAre("/var/lib/docker", "/var/lib/docker/volumes v", "/var/lib/containerd", "/builds", "/"))
      << "not looked up yet";
  EXPECT_EQ(store_.view().unknown, "not looked up yet");
  turn();
  EXPECT_EQ(asked_, "/run/c.sock overlayfs");
  EXPECT_EQ(store_.view().unknown, "nobody answers");
  EXPECT_EQ(journal_.count("disk.image_store"), 1U);
  answer_ = std::vector<std::string>{"/data/containerd"};
  turn();
  turn();
  EXPECT_THAT(watched(),
              ElementsAre("/var/lib/docker", "/var/lib/docker/volumes v", "/data/containerd i", "/builds", "/"));
  EXPECT_EQ(journal_.count("disk.image_store"), 2U);
  EXPECT_EQ(changes_, 2);
  // It is started anew: its disk stays watched, and nothing is deleted meanwhile.
  answer_ = Error(Errc::kUnavailable, "it starts");
  turn();
  EXPECT_THAT(watched(),
              ElementsAre("/var/lib/docker", "/var/lib/docker/volumes v", "/data/containerd", "/builds", "/"));
  // Elsewhere now.
  answer_ = std::vector<std::string>{"/moved"};
  turn();
  EXPECT_THAT(watched(), ElementsAre("/var/lib/docker", "/var/lib/docker/volumes v", "/moved i", "/builds", "/"));
}

TEST_F(ImageStoreTest, AnotherEnginesAnswerCountsForItAlone) {
  engine_.engine.identity.snapshotter = "overlayfs";
  answer_ = std::vector<std::string>{"/data/containerd"};
  turn();
  EXPECT_THAT(store_.home().stores, ElementsAre("/data/containerd"));
  engine_.engine.identity.containerd = "/run/other.sock";
  EXPECT_THAT(store_.home().stores, IsEmpty());
  EXPECT_TRUE(store_.home().is_store_unknown);
}

TEST_F(ImageStoreTest, WithPathsConfiguredTheStoreIsWatchedAllTheSame) {
  settings_.disk.watch = {WatchedPath{"/other", true}};
  engine_.engine.identity.snapshotter = "overlayfs";
  answer_ = std::vector<std::string>{"/data/containerd"};
  turn();
  for (const auto& folder : watched_folders(settings_, store_.home())) {
    EXPECT_EQ(folder.gate, folder.path == "/other") << folder.path;
  }
  EXPECT_THAT(watched(), ElementsAre("/var/lib/docker", "/var/lib/docker/volumes v", "/data/containerd i", "/other"));
}

}  // namespace
}  // namespace buildwarden::disk
