// The agent's git mirrors and what the stack's seeds leave, over real folders (issue 16, number 9).
#include "daemon/evictors/git_mirrors.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "daemon/evictors/mirror_folders.h"
#include "daemon/evictors/mirror_seed_leftovers.h"
#include "daemon/evictors/set_aside_mirror.h"
#include "daemon/evictors/trash_folders.h"
#include "daemon/filesystems/watched_paths.h"
#include "tests/support/later_clock.h"
#include "tests/support/loop.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class FakeMirrorUsers final : public ports::MirrorUsers {
 public:
  ports::Async<ports::MirrorUses> mirror_uses() override {
    ++asked;
    if (before && asked == before_call) before();
    if (unknown) co_return Error(Errc::kDenied, "process 9 cannot be read");
    co_return uses;
  }
  ports::MirrorUses uses;
  bool unknown = false;
  int asked = 0;
  int before_call = 0;
  std::function<void()> before;  // that call
};

class GitMirrorsTest : public ::testing::Test {
 protected:
  GitMirrorsTest() {
    settings_.paths.git_mirrors = root_ + "/git-mirrors";
    settings_.on_full.purge_mirrors = true;
    fs::create_directories(settings_.paths.git_mirrors);
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: it looks at every process";
  }
  [[nodiscard]] std::string path(const std::string& name) const { return settings_.paths.git_mirrors + "/" + name; }
  void write(const std::string& name, std::size_t size = 10) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    std::ofstream(path(name)) << std::string(size, 'x');
  }
  void make(const std::string& name) const {
    write(name + "/HEAD");
    write(name + "/FETCH_HEAD");
    write(name + "/objects/pack/one.pack", 100'000);
  }
  std::vector<policy::Candidate> list(ports::Evictor& rung) {
    auto listed = testing::run_on(loop_, rung.list(turn_));
    EXPECT_TRUE(listed) << listed.error().message();
    return listed ? *listed : std::vector<policy::Candidate>{};
  }
  // The names in the order in which they would go.
  std::vector<std::string> order(ports::Evictor& rung) {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    std::vector<std::string> names;
    for (const auto& one : policy::rank(list(rung), rules, clock_.now()).order) names.push_back(one.name);
    return names;
  }
  // Takes the only one that there is, planned before `meanwhile`; the answer: why it was dropped.
  template <class Meanwhile>
  std::string drop(Meanwhile meanwhile) {
    const auto all = list(mirrors_);
    EXPECT_EQ(all.size(), 1U);
    meanwhile();
    const auto taken = testing::run_on(loop_, mirrors_.evict(all.at(0), turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? taken->dropped : "";
  }
  [[nodiscard]] bool exists(const std::string& name) const { return fs::exists(path(name)); }
  // Another process sets the only one aside, and is killed.
  void kill_with_set_aside() const {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto seen = look_at_mirrors(settings_.paths.git_mirrors, {});
      const auto mirror = SetAsideMirror::set_aside(seen->entries.at(0), {});
      ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
  }

  testing::TempFolder folder_;
  std::string root_ = fs::canonical(folder_.path()).string();
  Settings settings_;
  testing::LaterClock clock_{hours{5}};
  boost::asio::io_context loop_;
  WorkerPool workers_{1};
  FakeMirrorUsers users_;
  bool steady_ = true;
  GitMirrors mirrors_{{settings_, clock_, workers_, users_, [this] { return steady_; }}};
  MirrorSeedLeftovers staging_{{settings_, clock_, workers_, [this] { return steady_; }}};
  policy::RungTurn turn_{policy::RungId::kGitMirrors, 2, hours{1}};
};

TEST_F(GitMirrorsTest, AnIdleOneGoesWholeAndNothingElseIsOne) {
  make("repo-git");
  make("snapshots/repo-git1234");
  make(".git-mirror-seed-abc/extract/other-git");
  write("no-mirror/file");
  write("repo-git.updatelockf");
  fs::create_directory_symlink(path("repo-git"), path("linked"));
  EXPECT_THAT(order(mirrors_), ElementsAre("git mirror repo-git"));
  EXPECT_EQ(drop([] {}), "");
  EXPECT_FALSE(exists("repo-git"));
  EXPECT_TRUE(exists("no-mirror/file") && exists("snapshots/repo-git1234/HEAD") && exists("repo-git.updatelockf"));
}

TEST_F(GitMirrorsTest, TheLastFetchIsWhatAges) {
  make("first");
  make("second");
  const auto used = [this](const std::string& name) {
    const auto all = list(mirrors_);
    return std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == "git mirror " + name; })
        ->last_use.at;
  };
  // Its stamp, which nobody can set, is at least one tick of the kernel's clock newer.
  while (used("first") <= used("second")) write("first/FETCH_HEAD", 20);
  EXPECT_THAT(order(mirrors_), ElementsAre("git mirror second", "git mirror first"));
  clock_.later = std::chrono::minutes{30};
  EXPECT_THAT(order(mirrors_), IsEmpty());
  clock_.later = hours{5};
  steady_ = false;
  EXPECT_THAT(order(mirrors_), IsEmpty()) << "nobody knows how old they are";
}

TEST_F(GitMirrorsTest, OnlyWithPurgeMirrors) {
  make("repo");
  EXPECT_THAT(drop([&] { settings_.on_full.purge_mirrors = false; }), HasSubstr("switched off"));
  EXPECT_THAT(list(mirrors_), IsEmpty());
  ports::FilesystemSnapshot place;
  place.roles = {"builds", "git_mirrors"};
  EXPECT_FALSE(mirrors_.frees(place));
  settings_.on_full.purge_mirrors = true;
  EXPECT_TRUE(mirrors_.frees(place));
  place.roles = {"builds"};
  EXPECT_FALSE(mirrors_.frees(place));
}

TEST_F(GitMirrorsTest, OneThatACheckoutReadsOrAJobMayNeedStays) {
  make("repo");
  users_.uses.borrowed = {{"checkout ci-1/acme/web", "/elsewhere/repo/objects"}};
  EXPECT_THAT(order(mirrors_), IsEmpty());
  users_.uses.borrowed[0].from = "/elsewhere/repo2/objects";
  EXPECT_THAT(order(mirrors_), ElementsAre("git mirror repo"));
  EXPECT_THAT(drop([&] { users_.uses.any_by = "lease a, which may clone from it"; }), HasSubstr("lease a"));
  users_.uses.any_by = "";
  const auto all = list(mirrors_);
  users_.unknown = true;
  EXPECT_FALSE(testing::run_on(loop_, mirrors_.evict(all.at(0), turn_)));
  EXPECT_FALSE(testing::run_on(loop_, mirrors_.list(turn_)));
  EXPECT_TRUE(exists("repo/HEAD"));
}

TEST_F(GitMirrorsTest, OneThatAProcessHasOpenOrLockedStays) {
  make("repo");
  for (const char* name : {"repo/objects/pack/one.pack", "repo.updatelockf", "repo.clonelockf"}) {
    std::ofstream(path(name), std::ios::app).flush();
    EXPECT_THAT(order(mirrors_), ElementsAre("git mirror repo")) << "a lock's file that nobody has is no lock";
    const UniqueFd held(::open(path(name).c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_THAT(order(mirrors_), IsEmpty()) << name;
  }
  std::optional<UniqueFd> later;
  const auto open_now = [&] { later.emplace(::open(path("repo.updatelockf").c_str(), O_RDONLY | O_CLOEXEC)); };
  EXPECT_THAT(drop(open_now), HasSubstr("which has its lock"));
  EXPECT_TRUE(exists("repo/HEAD"));
}

// Whatever is found out then, it is in the trash, and comes back from there.
TEST_F(GitMirrorsTest, WhoNeedsItIsAskedOnceMoreWhenNobodyCanBeginTo) {
  make("repo");
  const auto drop_when_set_aside = [&](std::function<void()> then) {
    users_.before = [this, then = std::move(then)] {
      EXPECT_FALSE(exists("repo"));
      then();
    };
    return drop([&] { users_.before_call = users_.asked + 2; });
  };
  EXPECT_THAT(drop_when_set_aside([&] { users_.uses.borrowed = {{"checkout ci-1/acme/web", "/m/repo/objects"}}; }),
              AllOf(HasSubstr("checkout ci-1/acme/web"), HasSubstr("put back")));
  EXPECT_TRUE(exists("repo/HEAD"));
  users_.uses.borrowed.clear();
  EXPECT_THAT(drop_when_set_aside([&] { users_.unknown = true; }),
              AllOf(HasSubstr("process 9 cannot be read"), HasSubstr("put back")));
  EXPECT_TRUE(exists("repo/HEAD"));
  users_.unknown = false;
  std::optional<UniqueFd> lock;
  std::ofstream(path("repo.updatelockf")).flush();
  EXPECT_THAT(
      drop_when_set_aside([&] { lock.emplace(::open(path("repo.updatelockf").c_str(), O_RDONLY | O_CLOEXEC)); }),
      HasSubstr("put back"));
  EXPECT_TRUE(exists("repo/HEAD"));
  lock.reset();
  EXPECT_THAT(drop_when_set_aside([&] { mirrors_.stop(); }), HasSubstr("put back"));
  EXPECT_TRUE(exists("repo/HEAD"));
}

TEST_F(GitMirrorsTest, OneThatCannotComeBackIsSaid) {
  make("repo");
  const auto all = list(mirrors_);
  users_.before_call = users_.asked + 2;
  users_.before = [this] {
    make("repo");  // cloned again by the job that needs it
    users_.uses.any_by = "lease a, which may clone from it";
  };
  const auto taken = testing::run_on(loop_, mirrors_.evict(all.at(0), turn_));
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message(), AllOf(HasSubstr("put"), HasSubstr("lease a")));
  EXPECT_TRUE(exists("repo/HEAD"));
}

// As when the daemon stops while it is asked who needs the mirror.
TEST_F(GitMirrorsTest, OneThatNobodyWentOnWithIsPutBack) {
  make("repo");
  const auto seen = look_at_mirrors(settings_.paths.git_mirrors, {});
  ASSERT_TRUE(seen);
  {
    const auto mirror = SetAsideMirror::set_aside(seen->entries.at(0), {});
    ASSERT_TRUE(mirror);
    EXPECT_EQ(mirror->why_kept(), "");
    EXPECT_FALSE(exists("repo"));
  }
  EXPECT_TRUE(exists("repo/HEAD"));
}

// It went from the trash at the next start, at any age, whoever had begun to borrow from it.
TEST_F(GitMirrorsTest, OneThatWasSetAsideWhenTheDaemonWasKilledIsAskedAboutAgain) {
  settings_.paths.state = root_ + "/state";
  settings_.paths.builds = root_ + "/builds";
  TrashFolders trash{{settings_, clock_, workers_}};
  make("repo");
  kill_with_set_aside();
  EXPECT_FALSE(exists("repo"));
  EXPECT_THAT(list(trash), IsEmpty());
  users_.uses.borrowed = {{"checkout ci-1/acme/web", "/m/repo/objects"}};
  testing::run_void(loop_, mirrors_.put_back_left());
  EXPECT_TRUE(exists("repo/HEAD"));
  EXPECT_THAT(order(mirrors_), IsEmpty()) << "a checkout reads it";
  kill_with_set_aside();
  const auto again = list(mirrors_);
  ASSERT_EQ(again.size(), 1U) << "whose folder came later is looked for when it is listed";
  EXPECT_THAT(again[0].in_use_by, HasSubstr("checkout ci-1/acme/web"));
  kill_with_set_aside();
  make("repo");
  testing::run_void(loop_, mirrors_.put_back_left());
  EXPECT_EQ(list(trash).size(), 1U) << "another one has its name: nobody can reach this one";
  EXPECT_TRUE(exists("repo/HEAD"));
}

TEST_F(GitMirrorsTest, ProcessesAreLookedAtOnceForAllLocks) {
  for (const char* name : {"one", "two", "three"}) make(name);
  int looks = 0;
  const auto users = [&](const std::vector<std::string>& locks) -> Result<std::map<std::string, std::string>> {
    ++looks;
    EXPECT_EQ(locks.size(), 6U);
    return std::map<std::string, std::string>{{path("two.updatelockf"), "process 7"}};
  };
  const auto seen = look_at_mirrors(settings_.paths.git_mirrors, {}, users);
  ASSERT_TRUE(seen);
  EXPECT_EQ(looks, 1);
  for (const auto& entry : seen->entries) {
    EXPECT_EQ(entry.user, entry.name == "two" ? "process 7, which has its lock" : "") << entry.name;
  }
}

TEST_F(GitMirrorsTest, ALookThatIsStoppedKnowsOfNone) {
  make("repo");
  mirrors_.stop();
  const auto listed = testing::run_on(loop_, mirrors_.list(turn_));
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code(), Errc::kCancelled);
}

// Agents before 3.49 or so: the lock is there while it is held.
TEST_F(GitMirrorsTest, AnOlderAgentsLockHoldsWhileItsProcessLives) {
  make("repo");
  std::ofstream(path("repo.clonelock")) << ::getpid() << "\n";
  EXPECT_THAT(order(mirrors_), IsEmpty());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  std::ofstream(path("repo.clonelock")) << child << "\n";
  EXPECT_THAT(order(mirrors_), ElementsAre("git mirror repo"));
  std::ofstream(path("repo.clonelock")) << "?";
  EXPECT_THAT(order(mirrors_), IsEmpty()) << "nobody knows whose it is";
}

TEST_F(GitMirrorsTest, AFetchSinceThePlanKeepsIt) {
  make("repo");
  EXPECT_THAT(drop([&] { write("repo/objects/pack/two.pack", 5'000); }), HasSubstr("changed since the plan"));
  EXPECT_TRUE(exists("repo/HEAD"));
}

// As any of the agent's, it is no reason to refuse a job that another disk than the builds' is short.
TEST_F(GitMirrorsTest, TheirDiskIsWatched) {
  const auto watched = [this] {
    std::vector<std::string> found;
    for (const auto& folder : watched_folders(settings_, {})) {
      const bool is_theirs = std::find(folder.roles.begin(), folder.roles.end(), "git_mirrors") != folder.roles.end();
      if (is_theirs)
        found.push_back(folder.path + (folder.gate ? " gates" : "") + (folder.optional ? " optional" : ""));
    }
    return found;
  };
  settings_.on_full.purge_mirrors = false;
  EXPECT_THAT(watched(), ElementsAre(settings_.paths.git_mirrors + " optional"));
  settings_.disk.watch = {{"/data", true}};
  EXPECT_THAT(watched(), IsEmpty());
  settings_.on_full.purge_mirrors = true;
  EXPECT_THAT(watched(), ElementsAre(settings_.paths.git_mirrors + " optional")) << "what a purge frees must be known";
}

// As on the stack without instance storage: the agent owns the folder above.
TEST_F(GitMirrorsTest, WhereSomebodyElseCouldExchangeTheFolderNothingGoes) {
  make("repo");
  make(".git-mirror-seed-abc/extract/other");
  ASSERT_EQ(::chown(root_.c_str(), 12345, 12345), 0);
  const auto all = list(mirrors_);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_THAT(all[0].name, HasSubstr("all git mirrors in"));
  EXPECT_NE(all[0].protected_as, "");
  EXPECT_THAT(order(staging_), IsEmpty());
}

TEST_F(GitMirrorsTest, LeftOverSeedsGoOnceNobodyIsAtThem) {
  make("repo");
  make(".git-mirror-seed-abc/extract/other");
  settings_.on_full.purge_mirrors = false;
  {
    const UniqueFd unpacking(::open(path(".git-mirror-seed-abc/extract").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_THAT(order(staging_), IsEmpty());
  }
  clock_.later = std::chrono::minutes{30};
  EXPECT_THAT(order(staging_), IsEmpty()) << "a boot may be at it";
  clock_.later = hours{5};
  EXPECT_THAT(order(staging_), ElementsAre(HasSubstr("/.git-mirror-seed-abc")));
  const auto all = list(staging_);
  const auto taken = testing::run_on(loop_, staging_.evict(all.at(0), turn_));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->dropped, "");
  EXPECT_FALSE(exists(".git-mirror-seed-abc"));
  EXPECT_TRUE(exists("repo/HEAD"));
}

}  // namespace
}  // namespace buildwarden::disk
