// Rung 1 over the real DOCKER_CONFIG folders of jobs that are gone.
#include "daemon/evictors/docker_configs.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>

#include "daemon/filesystems/path_stat.h"
#include "tests/support/later_clock.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::run_on;

class FakeLeft final : public ports::LeftFolders {
 public:
  [[nodiscard]] std::vector<ports::JobFolder> left_folders() const override { return folders; }
  void forget_folder(const ports::JobFolder& folder) override {
    forgotten.push_back(folder.path);
    std::erase_if(folders, [&](const auto& one) { return one.path == folder.path; });
  }
  std::vector<ports::JobFolder> folders;
  std::vector<std::string> forgotten;
};

class DockerConfigsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: it looks at every process";
  }
  // As a job left it behind just now.
  std::string left(const std::string& name, const std::vector<std::string>& files = {"config.json"}) {
    const auto path = fs::canonical(folder_.path()).string() + "/" + name;
    fs::create_directories(path);
    for (const auto& file : files) {
      fs::create_directories(fs::path(path + "/" + file).parent_path());
      std::ofstream(path + "/" + file) << std::string(5'000, 'x');
    }
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    left_.folders.push_back({.path = path,
                             .device = info.st_dev,
                             .inode = info.st_ino,
                             .uid = info.st_uid,
                             .ended = SystemClock().now().wall});
    return path;
  }
  std::vector<policy::Candidate> list() {
    auto listed = run_on(loop_, rung_.list(turn_));
    EXPECT_TRUE(listed) << listed.error().message();
    return listed ? *listed : std::vector<policy::Candidate>{};
  }
  std::vector<std::string> order() {
    policy::EvictionRules rules;
    rules.age = hours{4};
    std::vector<std::string> ids;
    for (const auto& candidate : policy::rank(list(), rules, clock_.now()).order) ids.push_back(candidate.id);
    return ids;
  }
  std::string evict(const std::string& id) {
    policy::Candidate candidate;
    candidate.id = id;
    const auto taken = run_on(loop_, rung_.evict(candidate, turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? taken->dropped : "failed";
  }

  buildwarden::testing::TempFolder folder_;
  testing::LaterClock clock_{hours{5}};
  FakeLeft left_;
  boost::asio::io_context loop_;
  WorkerPool workers_{1};
  DockerConfigs rung_{DockerConfigs::Parts{clock_, workers_, left_}};
  policy::RungTurn turn_{policy::RungId::kLeftovers, 1, hours{4}};
};

TEST_F(DockerConfigsTest, WhatAJobLeftGoesOnceItIsOld) {
  const auto config = left("one");
  const auto buildx = left("two", {"buildx/instances/s3"});
  const auto empty = left("three", {});
  const auto candidates = list();
  ASSERT_EQ(candidates.size(), 3U);
  EXPECT_EQ(candidates[0].device, device_label(static_cast<dev_t>(left_.folders[0].device)));
  EXPECT_THAT(order(), ::testing::UnorderedElementsAre(config, buildx, empty));
  clock_.later = hours{3};
  EXPECT_THAT(order(), IsEmpty());
  EXPECT_EQ(evict(config), "");
  EXPECT_FALSE(fs::exists(config));
  EXPECT_THAT(left_.forgotten, ElementsAre(config));
}

TEST_F(DockerConfigsTest, OneThatItsOwnerStillChangesIsYoung) {
  const auto path = left("one");
  left_.folders[0].ended -= hours{100};
  clock_.later = hours{1};
  EXPECT_THAT(order(), IsEmpty());
  clock_.later = hours{5};
  EXPECT_THAT(order(), ElementsAre(path));
}

TEST_F(DockerConfigsTest, AnotherFolderOfThatNameIsForgottenAndStays) {
  const auto path = left("one");
  fs::rename(path, path + ".moved");
  fs::create_directory(path);
  EXPECT_TRUE(list().empty());
  EXPECT_THAT(left_.forgotten, ElementsAre(path));
  EXPECT_TRUE(fs::exists(path));

  const auto link = left("two");
  fs::rename(link, link + ".moved");
  fs::create_directory_symlink(link + ".moved", link);
  EXPECT_TRUE(list().empty());
  EXPECT_TRUE(fs::exists(link + ".moved/config.json"));

  const auto given = left("three");
  ASSERT_EQ(::chown(given.c_str(), 65534, 65534), 0);
  EXPECT_TRUE(list().empty());
  EXPECT_TRUE(fs::exists(given));
}

TEST_F(DockerConfigsTest, WhatIsNotDockersOrIsUsedStays) {
  const auto other = left("other", {"thesis.tex"});
  const auto used = left("used");
  const std::ifstream held(used + "/config.json");
  EXPECT_THAT(order(), IsEmpty());
  for (const auto& candidate : list()) {
    EXPECT_THAT(candidate.id == other ? candidate.protected_as : candidate.in_use_by,
                HasSubstr(candidate.id == other ? "does not look like" : "an open file"));
  }
}

TEST_F(DockerConfigsTest, WhatHappensAfterThePlanSpeaksForIt) {
  const auto path = left("one");
  ASSERT_EQ(order().size(), 1U);
  EXPECT_EQ(evict(path + "x"), "it is not of the last plan");
  {
    const std::ifstream held(path + "/config.json");
    EXPECT_THAT(evict(path), HasSubstr("in use by"));
  }
  std::ofstream(path + "/new") << "x";
  EXPECT_THAT(evict(path), HasSubstr("changed since the plan"));
  ASSERT_EQ(order().size(), 1U);
  left_.folders.clear();
  EXPECT_EQ(evict(path), "a job has it");
  EXPECT_TRUE(fs::exists(path + "/config.json"));
}

TEST_F(DockerConfigsTest, FreesOnlyTheFilesystemThatTheyLieOn) {
  ports::FilesystemSnapshot filesystem;
  left("one");
  filesystem.device = device_label(static_cast<dev_t>(left_.folders[0].device));
  EXPECT_TRUE(rung_.frees(filesystem));
  filesystem.device = "0:0";
  EXPECT_FALSE(rung_.frees(filesystem));
}

}  // namespace
}  // namespace buildwarden::disk
