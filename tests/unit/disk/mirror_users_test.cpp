// Which git mirrors are needed, read from real checkouts.
#include "daemon/evictors/mirror_users.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "common/format.h"
#include "common/unique_fd.h"
#include "daemon/evictors/borrowed_objects.h"
#include "daemon/evictors/stoppable_work.h"
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
  std::ofstream(file) << std::string(1'100'000, 'x');
  EXPECT_FALSE(uses());
  fs::remove(file);
  fs::create_directories(path("ci-1/acme/web/.git/modules/1/2/3/4/5/6/7/8/9/10"));
  EXPECT_FALSE(uses());
  fs::remove_all(path("ci-1/acme/web/.git/modules"));
  EXPECT_TRUE(uses());
  running_.unknown = true;
  EXPECT_FALSE(uses()) << "which jobs run is not known";
}

// Only what is not there borrows nothing.
TEST_F(MirrorUsersTest, WhatIsInTheWayOfTheirObjectsMakesEveryMirrorUsed) {
  const std::string git = "ci-1/acme/web/.git";
  for (const auto* at : {"", "/objects", "/objects/info", "/modules", "/modules/lib", "/modules/lib/objects"}) {
    borrow(git, "/m/web/objects\n");
    borrow(git + "/modules/lib", "/m/lib/objects\n");
    const auto part = path(git + at);
    fs::rename(part, root_ + "/outside/moved");
    fs::create_directory_symlink(root_ + "/outside/moved", part);
    const auto found = uses();
    ASSERT_FALSE(found) << at;
    EXPECT_EQ(found.error().code(), Errc::kConflict);
    EXPECT_THAT(found.error().message(), HasSubstr("checkout ci-1/acme/web")) << at;
    fs::remove(part);
    EXPECT_TRUE(uses()) << "it is not there";
    fs::remove_all(root_ + "/outside/moved");
  }
  write(path("ci-1/acme/tree/.git"));
  EXPECT_FALSE(uses()) << "a worktree's objects are elsewhere";
}

TEST_F(MirrorUsersTest, CheckoutsThatAreNotLookedAtMakeEveryMirrorUsed) {
  make("ci-1/acme/web");
  fs::create_symlink(root_ + "/outside/org", path("ci-1/linked"));
  const auto linked = uses();
  ASSERT_FALSE(linked);
  EXPECT_THAT(linked.error().message(), HasSubstr("ci-1/linked"));
  fs::remove(path("ci-1/linked"));
  write(path("ci-1/file"));
  EXPECT_TRUE(uses());
  fs::create_directories(path("ci-2"));
  ASSERT_EQ(::mount((root_ + "/outside").c_str(), path("ci-2").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_FALSE(uses());
  EXPECT_EQ(::umount2(path("ci-2").c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(uses());
}

TEST_F(MirrorUsersTest, AllCheckoutsTogetherHaveOneLimit) {
  std::string lines;
  for (int one = 0; one < 1'000; ++one) lines += "/m/web/objects\n";
  for (int one = 0; one < 10; ++one) borrow(format("ci-1/acme/web{}/.git", one), lines);
  EXPECT_EQ(borrowed().size(), 10'000U);
  borrow("ci-1/acme/more/.git", "/m/web/objects");
  const auto found = uses();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::kTooLarge);
  EXPECT_THAT(found.error().message(), HasSubstr("too many places"));
  for (int one = 0; one < 10; ++one) borrow(format("ci-1/acme/web{}/.git", one), "#" + std::string(100 * 1'024, 'x'));
  EXPECT_TRUE(uses());
  borrow("ci-1/acme/more/.git", "#" + std::string(100 * 1'024, 'x'));
  EXPECT_FALSE(uses()) << "more than 1 MiB of text";
}

TEST_F(MirrorUsersTest, AllCheckoutsTogetherHaveSoManyFolders) {
  const policy::Checkout web{"ci-1", "acme", "web", path("ci-1/acme/web"), {}};
  borrow("ci-1/acme/web/.git", "/m/web/objects\n");
  for (int one = 0; one < 20; ++one) borrow(format("ci-1/acme/web/.git/modules/a/b{}", one), "");
  const UniqueFd home(::open(settings_.paths.builds.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  constexpr std::size_t kAll = 1 + 1 + 1 + 20 + 20;  // it, its .git, modules/a, what is in that, their repositories
  EXPECT_TRUE(BorrowLook(home.get(), {}, {kAll}).add(web));
  const auto one_less = BorrowLook(home.get(), {}, {kAll - 1}).add(web);
  ASSERT_FALSE(one_less);
  EXPECT_EQ(one_less.error().code(), Errc::kTooLarge);
  BorrowLook all(home.get(), {}, {kAll * 2 - 1});
  EXPECT_TRUE(all.add(web));
  EXPECT_FALSE(all.add(web)) << "the first look counts";
}

TEST_F(MirrorUsersTest, ALookThatIsStoppedKnowsNothing) {
  make("ci-1/acme/web");
  EXPECT_TRUE(uses());
  users_.stop();
  const auto found = uses();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::kCancelled);
}

TEST(StoppableWork, EndsAtItsDeadline) {
  boost::asio::io_context loop;
  WorkerPool workers(1);
  const auto was_stopped = std::make_shared<std::promise<bool>>();
  std::function<Result<int>(const std::stop_token&)> work = [was_stopped](const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any stopped;
    stopped.wait_for(lock, stop, std::chrono::seconds{20}, [] { return false; });
    was_stopped->set_value(stop.stop_requested());
    return Result<int>(1);
  };
  const auto done =
      testing::run_on(loop, compute_stoppable<int>(workers, work, {std::chrono::milliseconds{10}, std::stop_token{}}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::kTimeout);
  EXPECT_TRUE(was_stopped->get_future().get());
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
