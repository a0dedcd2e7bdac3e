#include "common/containerd_stores.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>

#include "common/unique_fd.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

// This process is the containerd: it listens, and has files open.
class ContainerdStores : public ::testing::Test {
 protected:
  void SetUp() override {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 8), 0);
  }
  [[nodiscard]] std::string at(const std::string& path) const { return folder_.path() + "/" + path; }
  [[nodiscard]] std::string socket() const { return at("containerd.sock"); }
  void make(const std::string& path) const {
    fs::create_directories(fs::path(at(path)).parent_path());
    std::ofstream(at(path)) << "db";
  }
  void hold(const std::string& path) {
    make(path);
    held_.emplace_back(::open(at(path).c_str(), O_RDONLY | O_CLOEXEC));
  }
  [[nodiscard]] Result<std::vector<std::string>> stores() const { return containerd_stores(socket(), "overlayfs"); }

  static constexpr const char* kMeta = "io.containerd.metadata.v1.bolt/meta.db";
  static constexpr const char* kSnapshotter = "io.containerd.snapshotter.v1.overlayfs";

  TempFolder folder_;
  UniqueFd listener_;
  std::list<UniqueFd> held_;
};

TEST_F(ContainerdStores, TheRootIsWhereItsMetadataIsOpen) {
  hold(std::string("moved/root/") + kMeta);
  fs::create_directories(at(std::string("moved/root/") + kSnapshotter + "/snapshots"));
  const auto found = stores();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(*found, ElementsAre(at("moved/root")));
}

TEST_F(ContainerdStores, ASnapshotterElsewhereIsAStoreToo) {
  hold(std::string("root/") + kMeta);
  hold(std::string("fast/") + kSnapshotter + "/metadata.db");
  const auto found = stores();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(*found, ElementsAre(at("root"), at(std::string("fast/") + kSnapshotter)));
}

TEST_F(ContainerdStores, WhatCannotBeToldIsNotGuessed) {
  EXPECT_EQ(stores().error().code(), Errc::kNotFound) << "it has no metadata open";
  hold(std::string("root/") + kMeta);
  EXPECT_THAT(stores().error().message(), HasSubstr("overlayfs lies elsewhere"));
  fs::create_directories(at(std::string("root/") + kSnapshotter + "/snapshots"));  // of before root_path was set
  hold("root-path/metadata.db");
  EXPECT_THAT(stores().error().message(), HasSubstr("perhaps in " + at("root-path")));
  EXPECT_EQ(containerd_stores(at("nobody.sock"), "overlayfs").error().code(), Errc::kUnavailable);
  held_.clear();
}

// An engine before API 1.46 does not say which containerd it has.
TEST_F(ContainerdStores, WithoutAnAddressTheOnlyOneCounts) {
  const auto put = [this](const std::string& pid, const std::string& name, const std::string& root) {
    fs::create_directories(at("proc/" + pid + "/fd"));
    std::ofstream(at("proc/" + pid + "/comm")) << name << "\n";
    make(root + "/" + kMeta);
    fs::create_directories(at(root + "/" + kSnapshotter + "/snapshots"));
    fs::create_symlink(at(root + "/" + kMeta), at("proc/" + pid + "/fd/3"));
  };
  const auto only = [this] { return containerd_stores("", "overlayfs", at("proc")); };
  put("7", "dockerd", "other");
  EXPECT_THAT(only().error().message(), HasSubstr("0 of this machine could be it"));
  put("8", "containerd", "root");
  ASSERT_TRUE(only()) << only().error().message();
  EXPECT_THAT(*only(), ElementsAre(at("root")));
  put("9", "containerd", "second");
  EXPECT_EQ(only().error().code(), Errc::kUnavailable);
  fs::remove_all(at("second"));  // in a container's mount namespace: not here
  EXPECT_TRUE(only());
  if (::geteuid() != 0) return;
  put("10", "containerd", "of-a-job");
  ASSERT_EQ(::chown(at("proc/10").c_str(), 2000, 2000), 0);
  EXPECT_TRUE(only()) << "a job's process calls itself so";
}

}  // namespace
}  // namespace buildwarden
