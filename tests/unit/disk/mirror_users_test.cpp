// Which git mirrors are needed, read from real checkouts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/evictors/mirror_users.h"
#include "tests/unit/disk/checkouts_fixture.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class MirrorUsersTest : public PurgeTest {
 protected:
  void borrow(const std::string& git, const std::string& text) const {
    write(path(git) + "/HEAD");
    fs::create_directories(path(git) + "/objects/info");
    std::ofstream(path(git) + "/objects/info/alternates") << text;
  }
  Result<ports::MirrorUses> uses() { return testing::run_on(loop_, users_.mirror_uses()); }
  std::vector<std::string> borrowed() {
    const auto found = uses();
    EXPECT_TRUE(found) << found.error().message();
    std::vector<std::string> all;
    for (const auto& one : found->borrowed) all.push_back(one.checkout + " from " + one.from);
    return all;
  }
  std::string any_by() {
    const auto found = uses();
    EXPECT_TRUE(found) << found.error().message();
    return found ? found->any_by : "";
  }
  MirrorUsers users_{{settings_, workers_, running_}};
};

TEST_F(MirrorUsersTest, CheckoutsAndTheirSubmodulesBorrow) {
  borrow("ci-1/acme/web/.git", "# a remark\n/m/web/objects\n\n/m/more/objects\n");
  borrow("ci-1/acme/web/.git/modules/lib", "/m/lib/objects\n");
  borrow("ci-1/acme/web/.git/modules/third/party/deep", "/m/deep/objects");
  borrow("ci-1/acme/web/.git/modules/lib/modules/inner", "/m/inner/objects");
  make("ci-2/acme/plain");
  const std::string web = "checkout ci-1/acme/web from ";
  EXPECT_THAT(borrowed(), UnorderedElementsAre(web + "/m/web/objects", web + "/m/more/objects", web + "/m/lib/objects",
                                               web + "/m/deep/objects", web + "/m/inner/objects"));
}

TEST_F(MirrorUsersTest, WhatCannotBeReadMakesEveryMirrorUsed) {
  borrow("ci-1/acme/web/.git", "");
  const auto file = path("ci-1/acme/web/.git/objects/info/alternates");
  fs::remove(file);
  fs::create_symlink(root_ + "/outside/precious", file);
  EXPECT_FALSE(uses());
  fs::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_FALSE(uses()) << "and it is not waited for";
  fs::remove(file);
  std::ofstream(file) << std::string(70'000, 'x');
  EXPECT_FALSE(uses());
  fs::remove(file);
  fs::create_directories(path("ci-1/acme/web/.git/modules/1/2/3/4/5/6/7/8/9/10"));
  EXPECT_FALSE(uses());
  fs::remove_all(path("ci-1/acme/web/.git/modules"));
  EXPECT_TRUE(uses());
  running_.unknown = true;
  EXPECT_FALSE(uses()) << "which jobs run is not known";
}

TEST_F(MirrorUsersTest, AJobThatHasNoCloneYetMayNeedAny) {
  make("ci-1/acme/web");
  EXPECT_EQ(any_by(), "");
  running_.jobs = {{"ci-1", path("ci-1/acme/web"), "lease a", "a", {}}};
  EXPECT_THAT(any_by(), HasSubstr("lease a")) << "no HEAD yet";
  write(path("ci-1/acme/web/.git/HEAD"));
  EXPECT_EQ(any_by(), "");
  running_.jobs.push_back({"ci-1", "", "process 7", "a", {}});
  EXPECT_EQ(any_by(), "") << "the same job";
  running_.jobs.push_back({"ci-2", "", "process 8", "b", {}});
  EXPECT_THAT(any_by(), HasSubstr("process 8"));
  running_.jobs = {{"ci-1", path("ci-1/acme/web"), "process 9", "", {}}};
  EXPECT_THAT(any_by(), HasSubstr("process 9")) << "nobody knows which job that is";
  running_.jobs.clear();
  fs::remove_all(settings_.paths.builds);
  EXPECT_EQ(any_by(), "");
}

}  // namespace
}  // namespace buildwarden::disk
