#include "config/sources.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/support/hostile_user.h"
#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

using testing::as_user;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kJobUser;

// The agent's home is its own; cfn-env in it is root's.
class SourcesTest : public ConfigTest {
 protected:
  SourcesTest() {
    EXPECT_EQ(::chmod(dir_.c_str(), 0755), 0);
    EXPECT_EQ(::mkdir(file("home").c_str(), 0755), 0);
    EXPECT_EQ(::chown(file("home").c_str(), kJobUser, kJobUser), 0);
    request_.overrides["paths.cfn_env"] = cfn_env();
    request_.overrides["paths.agent_env"] = file("home/env");
    write("conf.yaml", "");
    write("home/cfn-env", "set_always \"BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL\" \"false\"\n");
  }
  [[nodiscard]] std::string cfn_env() const { return file("home/cfn-env"); }

  // As a running daemon does.
  Loaded again(const Loaded& before) {
    request_.sources = Sources(before.texts);
    return loaded();
  }
  [[nodiscard]] bool job_takes_it_away() const {
    return as_user(kJobUser, [this] { return ::rename(cfn_env().c_str(), (cfn_env() + ".old").c_str()) == 0; });
  }
  [[nodiscard]] bool job_writes(const std::string& name, const std::string& text) const {
    return as_user(kJobUser, [this, name, text] { return (std::ofstream(file(name)) << text).good(); });
  }

  static constexpr const char* kTerminate = "set_always \"BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL\" \"true\"\n";
};

TEST_F(SourcesTest, WhatAJobPutsInThePlaceOfCfnEnvDoesNotCountAndTheLastOneDoes) {
  const auto first = loaded();
  EXPECT_TRUE(first.cfn_env_read);
  EXPECT_THAT(first.distrusted, IsEmpty());
  ASSERT_TRUE(job_takes_it_away());
  ASSERT_TRUE(job_writes("home/cfn-env", kTerminate));
  const auto second = again(first);
  EXPECT_FALSE(second.settings.on_full.terminate_instance);
  EXPECT_TRUE(second.cfn_env_read);
  EXPECT_EQ(row(second, "on_full.terminate_instance"), "false < cfn-env < home/cfn-env:1");
  ASSERT_THAT(second.distrusted, ElementsAre(HasSubstr("what it said before goes on to count")));
  EXPECT_THAT(second.distrusted[0], HasSubstr("uid 2000"));
  EXPECT_THAT(warnings(second), HasSubstr("others than root may write to it"));
  const auto third = again(second);
  EXPECT_FALSE(third.settings.on_full.terminate_instance) << "for as long as it lies there";
  EXPECT_TRUE(third.cfn_env_read);
}

TEST_F(SourcesTest, AtTheStartAFileOfAJobsIsAsIfThereWereNone) {
  ASSERT_TRUE(job_takes_it_away());
  ASSERT_TRUE(job_writes("home/cfn-env", kTerminate));
  ASSERT_TRUE(job_writes("home/env", "DISK_MIN_AVAILABLE=999999999\n"));
  const auto all = loaded();
  EXPECT_FALSE(all.settings.on_full.terminate_instance);
  EXPECT_FALSE(all.cfn_env_read);
  EXPECT_EQ(all.settings.disk.min_free, DiskSettings{}.min_free);
  EXPECT_THAT(all.distrusted, ElementsAre(HasSubstr("nothing of it counts"), HasSubstr("nothing of it counts")));
}

TEST_F(SourcesTest, OneThatIsTakenAwayGoesOnToCount) {
  const auto first = loaded();
  ASSERT_TRUE(job_takes_it_away());
  const auto second = again(first);
  EXPECT_TRUE(second.cfn_env_read);
  EXPECT_THAT(second.distrusted,
              ElementsAre(HasSubstr("others than root may move it: it is gone; what it said before")));
  EXPECT_TRUE(again(second).cfn_env_read);
}

// What was root's once is root's still: a job kept an older one, or moves another one here.
TEST_F(SourcesTest, AJobDoesNotChooseWhichOfRootsFilesCounts) {
  const auto first = loaded();
  ASSERT_TRUE(as_user(kJobUser, [this] { return ::rename(cfn_env().c_str(), file("home/older").c_str()) == 0; }));
  write("home/cfn-env", kTerminate);
  const auto second = again(first);
  EXPECT_TRUE(second.settings.on_full.terminate_instance);
  ASSERT_TRUE(as_user(kJobUser, [this] {
    return ::rename(cfn_env().c_str(), file("home/newer").c_str()) == 0 &&
           ::rename(file("home/older").c_str(), cfn_env().c_str()) == 0;
  }));
  const auto third = again(second);
  EXPECT_TRUE(third.settings.on_full.terminate_instance);
  EXPECT_THAT(third.distrusted, ElementsAre(HasSubstr("it is older than the one that counted")));
  write("home/env", "DISK_MIN_AVAILABLE=20480\n");
  ASSERT_TRUE(as_user(kJobUser, [this] { return ::rename(file("home/env").c_str(), cfn_env().c_str()) == 0; }));
  const auto fourth = again(third);
  EXPECT_TRUE(fourth.settings.on_full.terminate_instance);
  EXPECT_THAT(fourth.distrusted, ElementsAre(HasSubstr("it says nothing that such a file should say")));
}

// Root did what a message asked for, chown and chmod; whoever made the file still writes to it.
TEST_F(SourcesTest, AFileThatItsMakerHasOpenDoesNotCount) {
  ASSERT_TRUE(job_writes("home/env", "A=1\n"));
  const int kept = ::open(file("home/env").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(kept, 0);
  ASSERT_EQ(::chown(file("home/env").c_str(), 0, 0), 0);
  EXPECT_THAT(loaded().distrusted, ElementsAre(HasSubstr("while somebody has it open for writing")));
  ::close(kept);
  EXPECT_THAT(loaded().distrusted, IsEmpty());
}

// A default access list of the home's owner lets them write to what root makes there.
TEST_F(SourcesTest, AFileThatAnAccessListOpensDoesNotCount) {
  ASSERT_EQ(::chmod(cfn_env().c_str(), 0664), 0);  // as its mask shows
  EXPECT_THAT(loaded().distrusted, ElementsAre(HasSubstr("others than root may write to it")));
}

TEST_F(SourcesTest, OneThatRootRemovesFromAFolderOfRootsIsGone) {
  request_.overrides["paths.daemon_json"] = file("daemon.json");
  write("daemon.json", R"({"data-root": "/data"})");
  const auto first = loaded();
  EXPECT_EQ(first.settings.engine.data_root, "/data");
  std::filesystem::remove(file("daemon.json"));
  const auto second = again(first);
  EXPECT_EQ(second.settings.engine.data_root, EngineSettings{}.data_root);
  EXPECT_THAT(second.distrusted, IsEmpty());
}

TEST_F(SourcesTest, WhatRootWritesCountsAtOnceAndIsTrustedAgain) {
  const auto first = loaded();
  ASSERT_TRUE(job_takes_it_away());
  const auto second = again(first);
  write("home/cfn-env", kTerminate);
  const auto third = again(second);
  EXPECT_TRUE(third.settings.on_full.terminate_instance);
  EXPECT_THAT(third.distrusted, IsEmpty());
}

TEST_F(SourcesTest, APipeInTheirPlacesKeepsNobodyWaiting) {
  const auto first = loaded();
  ASSERT_TRUE(job_takes_it_away());
  for (const auto* name : {"home/cfn-env", "home/env"}) {
    ASSERT_TRUE(as_user(kJobUser, [this, name] { return ::mkfifo(file(name).c_str(), 0666) == 0; }));
  }
  const auto second = again(first);
  EXPECT_TRUE(second.cfn_env_read);
  EXPECT_THAT(second.distrusted, ElementsAre(HasSubstr("not a regular file"), HasSubstr("not a regular file")));
}

}  // namespace
}  // namespace buildwarden::config
