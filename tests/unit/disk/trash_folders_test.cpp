// Rung 1 over real folders: the operator's caches, our trash, set-aside state.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "common/folder_users.h"
#include "common/trash.h"
#include "common/unique_fd.h"
#include "daemon/evictors/cache_dirs.h"
#include "daemon/evictors/trash_folders.h"
#include "daemon/filesystems/path_stat.h"
#include "tests/support/by_path.h"
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
using testing::throw_away;
using testing::tree_identity;
using ::testing::UnorderedElementsAre;

// A process that does `first`, says so, and waits for its end.
class Child {
 public:
  explicit Child(const std::function<bool()>& first) {
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      const char word = first() ? 'y' : 'n';
      [[maybe_unused]] const auto said = ::write(ready[1], &word, 1);
      for (;;) ::pause();
    }
    char word = 'n';
    ready_ = ::read(ready[0], &word, 1) == 1 && word == 'y';
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  pid_t pid_ = -1;
  bool ready_ = false;
};

class TrashFoldersTest : public ::testing::Test {
 protected:
  TrashFoldersTest() {
    if (::geteuid() != 0) return;
    root_ = fs::canonical(folder_.path()).string();
    settings_.disk.cache_dirs = {root_ + "/caches"};
    settings_.paths.state = root_ + "/state";
    settings_.paths.builds = root_ + "/builds";
    for (const char* name : {"caches", "state", "builds", "outside"}) fs::create_directories(root_ + "/" + name);
    write("outside/precious");
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: it looks at every process";
  }
  void write(const std::string& path, std::size_t size = 10) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << std::string(size, 'x');
  }
  [[nodiscard]] bool exists(const std::string& path) const {
    return fs::exists(fs::symlink_status(root_ + "/" + path));
  }
  [[nodiscard]] std::string cache(const std::string& name) const { return "cache " + root_ + "/caches/" + name; }
  std::vector<policy::Candidate> list(ports::Evictor& rung) {
    auto listed = run_on(loop_, rung.list(turn_));
    EXPECT_TRUE(listed) << listed.error().message();
    return listed ? *listed : std::vector<policy::Candidate>{};
  }
  WallTime changed(const std::string& name) {
    for (const auto& candidate : list(caches_)) {
      if (candidate.name == cache(name)) return candidate.last_use.at;
    }
    ADD_FAILURE() << name;
    return {};
  }
  std::vector<policy::Candidate> order(ports::Evictor& rung) {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    return policy::rank(list(rung), rules, clock_.now()).order;
  }
  static std::vector<std::string> names(const std::vector<policy::Candidate>& candidates) {
    std::vector<std::string> all;
    for (const auto& one : candidates) all.push_back(one.name);
    return all;
  }
  ports::EvictionResult evict(ports::Evictor& rung, const policy::Candidate& candidate) {
    const auto taken = run_on(loop_, rung.evict(candidate, turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? *taken : ports::EvictionResult{};
  }

  testing::TempFolder folder_;
  std::string root_;
  Settings settings_;
  testing::LaterClock clock_{hours{5}};
  boost::asio::io_context loop_;
  WorkerPool workers_{1};
  bool steady_ = true;
  std::string data_root_ = "/var/lib/docker";
  CacheDirs caches_{CacheDirs::Parts{settings_, clock_, workers_, [this] { return std::vector{data_root_}; },
                                     [this] { return steady_; }}};
  TrashFolders own_{TrashFolders::Parts{settings_, clock_, workers_}};
  policy::RungTurn turn_{policy::RungId::kLeftovers, 1, hours{4}};
};

TEST_F(TrashFoldersTest, WhatWasChangedLongestAgoGoesFirst) {
  write("caches/first/deep/file", 50'000);
  write("caches/second/file");
  // Until the kernel's clock ticks.
  while (changed("first") <= changed("second")) {
    ASSERT_EQ(::chmod((root_ + "/caches/first/deep/file").c_str(), 0600), 0);
  }
  const auto candidates = order(caches_);
  ASSERT_THAT(names(candidates), ElementsAre(cache("second"), cache("first")));
  EXPECT_GE(candidates[1].size, 50'000);
  struct stat info{};
  ASSERT_EQ(::stat(root_.c_str(), &info), 0);
  EXPECT_EQ(candidates[0].device, device_label(info.st_dev));
  const auto taken = evict(caches_, candidates[1]);
  EXPECT_EQ(taken.dropped, "");
  EXPECT_GE(taken.reported, 50'000);
  EXPECT_FALSE(exists("caches/first"));
  EXPECT_TRUE(exists("caches/second"));
  EXPECT_THAT(names(list(caches_)), ElementsAre(cache("second"))) << "the trash is no cache";
  EXPECT_TRUE(fs::is_empty(root_ + "/caches/" + kTrashName));
}

TEST_F(TrashFoldersTest, YoungOnesStayAndAnUntrustedClockMakesNothingOld) {
  write("caches/one/file");
  clock_.later = hours{3};
  EXPECT_THAT(names(order(caches_)), IsEmpty());
  clock_.later = hours{5};
  steady_ = false;
  EXPECT_TRUE(list(caches_).empty());
}

TEST_F(TrashFoldersTest, LinksGoThemselves) {
  fs::create_symlink("../outside", root_ + "/caches/link");
  const auto candidates = order(caches_);
  ASSERT_EQ(candidates.size(), 1U);
  EXPECT_EQ(evict(caches_, candidates[0]).dropped, "");
  EXPECT_FALSE(exists("caches/link"));
  EXPECT_TRUE(exists("outside/precious"));
}

TEST_F(TrashFoldersTest, WhatAProcessUsesStays) {
  for (const char* name : {"cwd", "open", "free"}) write(std::string("caches/") + name + "/below/file");
  const Child inside([this] { return ::chdir((root_ + "/caches/cwd/below").c_str()) == 0; });
  ASSERT_TRUE(inside.ready());
  const std::ifstream held(root_ + "/caches/open/below/file");
  EXPECT_THAT(names(order(caches_)), ElementsAre(cache("free")));
  std::map<std::string, std::string> users;
  for (const auto& candidate : list(caches_)) users[candidate.name] = candidate.in_use_by;
  EXPECT_THAT(users[cache("cwd")], HasSubstr("working folder"));
  EXPECT_THAT(users[cache("open")], HasSubstr("an open file"));
}

TEST_F(TrashFoldersTest, WhatAContainerHasMountedStays) {
  write("caches/mounted/file");
  write("caches/free/file");
  fs::create_directories(root_ + "/inside");
  const Child container([this] {
    return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount((root_ + "/caches/mounted").c_str(), (root_ + "/inside").c_str(), nullptr, MS_BIND, nullptr) == 0;
  });
  ASSERT_TRUE(container.ready());
  EXPECT_THAT(names(order(caches_)), ElementsAre(cache("free")));
}

TEST_F(TrashFoldersTest, AMountInItKeepsIt) {
  write("caches/one/mnt/file");
  ASSERT_EQ(::mount((root_ + "/outside").c_str(), (root_ + "/caches/one/mnt").c_str(), nullptr, MS_BIND, nullptr), 0);
  const auto candidates = list(caches_);
  EXPECT_EQ(::umount2((root_ + "/caches/one/mnt").c_str(), MNT_DETACH), 0);
  ASSERT_EQ(candidates.size(), 1U);
  EXPECT_EQ(candidates[0].protected_as, "something is mounted in it");
}

TEST_F(TrashFoldersTest, NeverWhatHoldsTheEnginesOrOurOwnOrLiesInIt) {
  write("caches/docker/overlay2/file");
  write("caches/other/file");
  data_root_ = root_ + "/caches/docker";
  EXPECT_THAT(names(order(caches_)), ElementsAre(cache("other")));
  data_root_ = root_ + "/caches/docker/overlay2";
  EXPECT_THAT(names(order(caches_)), ElementsAre(cache("other"))) << "what holds it goes as little";
  data_root_ = root_;
  EXPECT_THAT(names(order(caches_)), IsEmpty());
  data_root_ = "/var/lib/docker";
  settings_.disk.cache_dirs.push_back(root_ + "/caches/other");
  EXPECT_THAT(names(order(caches_)), UnorderedElementsAre(cache("docker"), cache("other/file")));
}

TEST_F(TrashFoldersTest, WhatChangedSinceThePlanIsLeftAlone) {
  write("caches/one/file");
  const auto candidate = order(caches_).at(0);
  {
    const std::ifstream held(root_ + "/caches/one/file");
    EXPECT_THAT(evict(caches_, candidate).dropped, HasSubstr("in use by"));
  }
  write("caches/one/new");
  EXPECT_THAT(evict(caches_, candidate).dropped, HasSubstr("changed since the plan"));
  fs::rename(root_ + "/caches/one", root_ + "/caches/moved");
  EXPECT_EQ(evict(caches_, candidate).dropped, "already gone");
  write("caches/one/file");
  EXPECT_THAT(evict(caches_, candidate).dropped, HasSubstr("another one"));
  policy::Candidate foreign;
  foreign.id = root_ + "/outside/precious";
  EXPECT_EQ(evict(caches_, foreign).dropped, "it is not of the last plan");
  EXPECT_TRUE(exists("outside/precious"));
}

TEST_F(TrashFoldersTest, TrashThatWasLeftIsRemovedAtAnyAge) {
  clock_.later = Duration{0};
  write("caches/one/file");
  const auto identity = *tree_identity(root_ + "/caches", "one");
  ASSERT_TRUE(throw_away(root_ + "/caches", "one", identity));
  const auto candidates = order(own_);
  ASSERT_EQ(candidates.size(), 1U);
  EXPECT_THAT(candidates[0].name, HasSubstr(kTrashName));
  EXPECT_TRUE(candidates[0].thrown_away);
  EXPECT_EQ(evict(own_, candidates[0]).dropped, "");
  EXPECT_TRUE(fs::is_empty(root_ + "/caches/" + kTrashName));
}

TEST_F(TrashFoldersTest, TrashThatIsNotOursAloneIsNotTouched) {
  const auto trash = root_ + "/builds/" + kTrashName;
  write(std::string("builds/") + kTrashName + "/file");
  ASSERT_EQ(::chmod(trash.c_str(), 0755), 0);
  EXPECT_TRUE(list(own_).empty());
  ASSERT_EQ(::chmod(trash.c_str(), 0700), 0);
  ASSERT_EQ(::chown(trash.c_str(), 65534, 65534), 0);
  EXPECT_TRUE(list(own_).empty());
  fs::remove_all(trash);
  fs::create_symlink("../outside", trash);
  EXPECT_TRUE(list(own_).empty());
  fs::remove(trash);
  fs::create_directory(trash);
  ASSERT_EQ(::chmod(trash.c_str(), 0700), 0);
  write(std::string("builds/") + kTrashName + "/file");
  EXPECT_EQ(list(own_).size(), 1U);
}

TEST_F(TrashFoldersTest, SetAsideStateGoesAtTheAgeAndNothingElseOfTheState) {
  write("state/ledger.db");
  write("state/ledger.db.damaged-2026-01-01T00:00:00.000Z", 5'000);
  fs::create_directories(root_ + "/state/a.damaged-folder");
  clock_.later = hours{3};
  EXPECT_THAT(names(order(own_)), IsEmpty());
  clock_.later = hours{5};
  const auto candidates = order(own_);
  ASSERT_EQ(candidates.size(), 1U);
  EXPECT_GE(evict(own_, candidates[0]).reported, 5'000);
  EXPECT_TRUE(exists("state/ledger.db"));
}

TEST_F(TrashFoldersTest, ThrowingAwayIsForTheOneThatWasMeant) {
  write("caches/one/file");
  const auto identity = *tree_identity(root_ + "/caches", "one");
  fs::rename(root_ + "/caches/one", root_ + "/caches/moved");
  write("caches/one/file");
  EXPECT_EQ(throw_away(root_ + "/caches", "one", identity).error().code(), Errc::kConflict);
  EXPECT_TRUE(exists("caches/one/file"));
  for (const char* name : {"..", ".", "", "a/b"}) EXPECT_FALSE(throw_away(root_ + "/caches", name, identity)) << name;
}

TEST_F(TrashFoldersTest, AfterStopNothingIsLookedAtOrRemoved) {
  write("caches/one/file");
  const auto candidate = order(caches_).at(0);
  caches_.stop();
  EXPECT_NE(evict(caches_, candidate).dropped, "");
  EXPECT_TRUE(exists("caches/one/file"));
}

// A mount by FUSE shows itself to nobody but its owner, root included: it hid all caches.
TEST_F(TrashFoldersTest, WhatCannotBeLookedAtHidesNoOther) {
  write("caches/one/file");
  write("other/two/file");
  settings_.disk.cache_dirs.push_back(root_ + "/other");
  fs::create_directories(root_ + "/caches/closed");
  const auto device = root_ + "/fuse";
  ASSERT_EQ(::mknod(device.c_str(), S_IFCHR | 0600, makedev(10, 229)), 0);
  const UniqueFd fuse(::open(device.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fuse.open()) << "modprobe fuse";
  const auto options = "fd=" + std::to_string(fuse.get()) + ",rootmode=40000,user_id=2000,group_id=2000";
  ASSERT_EQ(::mount("test", (root_ + "/caches/closed").c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()), 0);
  const auto all = list(caches_);
  EXPECT_EQ(::umount2((root_ + "/caches/closed").c_str(), MNT_DETACH), 0);
  EXPECT_THAT(names(all), UnorderedElementsAre(cache("one"), cache("closed"), "cache " + root_ + "/other/two"));
  for (const auto& one : all) EXPECT_EQ(one.protected_as.empty(), one.name != cache("closed")) << one.protected_as;
}

}  // namespace
}  // namespace buildwarden::disk
