#include "daemon/policy/mirrors.h"

#include <gtest/gtest.h>

namespace buildwarden::policy {
namespace {

TEST(Mirrors, HaveTheNamesThatTheAgentGivesThem) {
  for (const char* name : {"git-github-com-org-repo-git", "https---github-com-acme-inc-project-git", "a"}) {
    EXPECT_TRUE(is_mirror_name(name)) << name;
  }
  for (const char* name : {"", ".", "..", ".git-mirror-seed-x7Q", ".remote-mirror-00ff", ".buildwarden-trash", "a/b",
                           "repo.updatelockf", "repo.clonelock", "two words"}) {
    EXPECT_FALSE(is_mirror_name(name)) << name;
  }
  EXPECT_TRUE(is_mirror_seed_leftover(".git-mirror-seed-x7Q"));
  EXPECT_FALSE(is_mirror_seed_leftover("git-mirror-seed-x7Q"));
  EXPECT_FALSE(is_mirror_seed_leftover(".git-mirror-seeds"));
}

TEST(Mirrors, AreFoundInWhatIsBorrowedHoweverTheirFolderIsSpelt) {
  for (const char* from : {"/var/lib/buildkite-agent/git-mirrors/repo/objects",
                           "/mnt/ephemeral/git-mirrors/repo/objects", "../../../../repo/objects", "repo", "/repo/"}) {
    EXPECT_TRUE(may_lie_in(from, "repo")) << from;
  }
  for (const char* from : {"", "/", "/git-mirrors/repo2/objects", "/git-mirrors/a-repo/objects", "/repo.git/objects"}) {
    EXPECT_FALSE(may_lie_in(from, "repo")) << from;
  }
}

}  // namespace
}  // namespace buildwarden::policy
