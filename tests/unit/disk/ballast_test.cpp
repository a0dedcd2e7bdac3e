#include "daemon/ballast/ballast.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "common/atomic_file.h"
#include "daemon/ballast/ballast_places.h"
#include "daemon/filesystems/filesystem_table.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/fake_paths.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

using policy::BallastAct;
using policy::Level;

// Does what it is told on any thread, keeps what it was asked, and hangs on one filesystem if so told.
class FakeHand {
 public:
  ~FakeHand() { release(); }
  BallastHand function() {
    return [state = state_](const BallastWork& work) -> Result<BallastDone> {
      std::unique_lock lock(state->mutex);
      state->asked.push_back(work);
      state->changed.wait(lock, [&] { return minor(work.key.device) != state->hangs_on; });
      if (state->failure && work.act != BallastAct::kKeep) return *state->failure;
      auto& held = state->held[minor(work.key.device)];
      const auto before = held;
      if (work.act == BallastAct::kMake || work.act == BallastAct::kShrink) held = work.size;
      if (work.act == BallastAct::kGive || work.act == BallastAct::kRemove) held = 0;
      return BallastDone{held, policy::FreedSpace::between({{"", "", held, 0}}, {{"", "", before, 0}}), 7};
    };
  }
  void hang_on(unsigned minor) { set(&State::hangs_on, minor); }
  void release() { set(&State::hangs_on, 0U); }
  void fail(std::optional<Error> error) { set(&State::failure, std::move(error)); }
  void put(unsigned minor, Bytes held) {
    const std::lock_guard lock(state_->mutex);
    state_->held[minor] = held;
  }
  [[nodiscard]] std::vector<BallastWork> asked(BallastAct act) {
    const std::lock_guard lock(state_->mutex);
    std::vector<BallastWork> found;
    for (const auto& work : state_->asked) {
      if (work.act == act) found.push_back(work);
    }
    return found;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<BallastWork> asked;
    std::map<unsigned, Bytes> held;
    std::optional<Error> failure;
    unsigned hangs_on = 0;
  };
  template <class Member, class Value>
  void set(Member State::* member, Value value) {
    const std::lock_guard lock(state_->mutex);
    (*state_).*member = std::move(value);
    state_->changed.notify_all();
  }
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// /docker on 8:1 (ext4), /data on 8:2 (xfs); 100 GiB each, target 25 GiB, ballast 1 GiB.
class BallastTest : public ::testing::Test {
 protected:
  static PathSamplerTiming timing() {
    PathSamplerTiming timing;
    timing.patience = Duration{1'000};
    return timing;
  }
  BallastTest() {
    settings_.disk.watch = {WatchedPath{"/docker", true}, WatchedPath{"/data", true}};
    settings_.paths.state = "/data/state";
    paths_.put("/docker", 1, 60);
    paths_.put("/data", 2, 60);
    mounts("21 1 8:1 / /docker rw - ext4 /dev/a rw\n22 1 8:2 / /data rw,noatime - xfs /dev/b rw\n");
  }
  void mounts(const std::string& text) {
    paths_.mounts(text);
    ASSERT_TRUE(write_file_atomically(folder_.path() + "/mountinfo", text));
  }
  // Measures, takes a turn and lets what was begun end, with all that follows from it.
  void turn() {
    clock_.advance(Duration{2'000});
    turn_without_waiting();
    settle();
  }
  void turn_without_waiting() {
    testing::run_void(loop_, filesystems_.observe(true));
    ballast_.turn(loop_.get_executor());
  }
  // Until a turn begins nothing more.
  void settle() {
    for (int round = 0; round < 5; ++round) {
      loop_.restart();
      loop_.run_for(Duration{20});
    }
  }
  [[nodiscard]] ports::BallastView shown(const std::string& mount) const {
    for (const auto& view : filesystems_.snapshots()) {
      if (view.mount == mount) return view.ballast;
    }
    return {};
  }

  testing::TempFolder folder_;
  Settings settings_;
  testing::FakeClock clock_;
  testing::FakePaths paths_;
  testing::FakeJournal journal_;
  FakeHand hand_;
  bool wishes_unknown_ = false;
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{loop_.get_executor()};
  PathSampler sampler_{paths_.function(), std::make_shared<MountTable>(folder_.path() + "/mountinfo"), timing()};
  FilesystemTable filesystems_{
      FilesystemTable::Parts{settings_, clock_, sampler_, [] { return EngineHome{"/docker", {}, false}; }}};
  Ballast ballast_{
      Ballast::Parts{settings_, clock_, journal_, filesystems_, [this] { return wishes_unknown_; }, hand_.function()}};
};

TEST_F(BallastTest, OneIsMadeOnEachFilesystemWhereItIsOurs) {
  turn();
  const auto made = hand_.asked(BallastAct::kMake);
  ASSERT_EQ(made.size(), 2U);
  for (const auto& work : made) {
    EXPECT_EQ(work.size, kGiB);
    EXPECT_EQ(work.floor, 25 * kGiB);
    const bool docker = minor(work.key.device) == 1;
    EXPECT_EQ(work.places.front().folder, docker ? "/docker" : "/data/state");
    EXPECT_EQ(work.places.front().shared, docker);
    EXPECT_EQ(work.places.back().folder, docker ? "/docker" : "/data");
  }
  EXPECT_EQ(journal_.count("ballast.made"), 2U);
  EXPECT_EQ(shown("/docker").bytes, kGiB);
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 2U);
  EXPECT_EQ(shown("/data").rule, "held");
}

TEST_F(BallastTest, IsGivenAtExhaustedOnceAndMadeAgainOnlyAboveTargetAndBallast) {
  turn();
  paths_.put("/docker", 1, 0);
  turn();
  turn();
  ASSERT_EQ(hand_.asked(BallastAct::kGive).size(), 1U);
  EXPECT_EQ(minor(hand_.asked(BallastAct::kGive)[0].key.device), 1U);
  ASSERT_EQ(journal_.count("ballast.given"), 1U);
  EXPECT_EQ(journal_.last("ballast.given").severity, ports::Severity::kWarning);
  EXPECT_EQ(shown("/docker").bytes, 0);
  EXPECT_EQ(shown("/data").bytes, kGiB);
  for (const Bytes free : {1, 14, 24, 25}) {
    paths_.put("/docker", 1, free);
    turn();
    EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 2U) << free;
  }
  paths_.put("/docker", 1, 26);
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 3U);
  EXPECT_EQ(journal_.count("ballast.given"), 1U);
}

TEST_F(BallastTest, WhatAnEarlierDaemonMadeIsTakenOver) {
  hand_.put(1, kGiB);
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_EQ(shown("/docker").bytes, kGiB);
  EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 1U);
  EXPECT_EQ(minor(hand_.asked(BallastAct::kMake)[0].key.device), 2U);
}

TEST_F(BallastTest, ADiskThatIsFullAtTheStartGetsItsBallastBack) {
  hand_.put(1, kGiB);
  paths_.put("/docker", 1, 0);
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kGive).size(), 1U);
}

TEST_F(BallastTest, FollowsTheConfiguration) {
  turn();
  settings_.disk.ballast = Amount::bytes(512 * kMiB);
  turn();
  EXPECT_EQ(shown("/docker").bytes, 512 * kMiB);
  settings_.disk.ballast = Amount::bytes(2 * kGiB);
  turn();
  EXPECT_EQ(shown("/docker").bytes, 2 * kGiB);
  settings_.disk.ballast = Amount::bytes(0);
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kRemove).size(), 2U);
  EXPECT_EQ(shown("/docker").bytes, 0);
}

TEST_F(BallastTest, WaitsForTheOperatorsWishes) {
  wishes_unknown_ = true;
  turn();
  EXPECT_TRUE(hand_.asked(BallastAct::kMake).empty());
  EXPECT_EQ(shown("/docker").rule, "wishes_unknown");
  wishes_unknown_ = false;
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 2U);
}

TEST_F(BallastTest, ADryRunSaysOnceWhatItWouldDo) {
  settings_.dry_run = true;
  turn();
  turn();
  EXPECT_TRUE(hand_.asked(BallastAct::kMake).empty());
  ASSERT_EQ(journal_.count("ballast.made"), 2U);
  EXPECT_NE(journal_.last("ballast.made").reason.find("would go from 0 B to 1.00 GiB"), std::string::npos)
      << journal_.last("ballast.made").reason;
  EXPECT_EQ(shown("/docker").bytes, 0);
}

TEST_F(BallastTest, WhereNoneCanBeNothingIsTouched) {
  mounts(
      "21 1 8:1 / /docker ro - ext4 /dev/a rw\n"
      "22 1 8:2 / /data rw - btrfs /dev/b rw\n");
  turn();
  EXPECT_TRUE(hand_.asked(BallastAct::kKeep).empty());
  EXPECT_EQ(shown("/docker").reason, "it is mounted read-only");
  EXPECT_EQ(shown("/data").reason, "only ext4 and xfs carry one, and this is btrfs");
}

TEST_F(BallastTest, AFilesystemThatHangsKeepsTheOthersFromNothing) {
  hand_.hang_on(1);
  turn();
  EXPECT_EQ(shown("/data").bytes, kGiB);
  EXPECT_EQ(shown("/docker").bytes, 0);
  clock_.advance(Duration{6'000});
  turn();
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kKeep).size(), 2U) << "no second request";
  EXPECT_EQ(shown("/docker").reason, "nothing was heard of the work on it for 5s");
  EXPECT_EQ(journal_.count("ballast.failed"), 1U);
  hand_.release();
  testing::run_until(loop_, [this] { return shown("/docker").bytes == kGiB; });
}

TEST_F(BallastTest, AFailureIsSaidOnceAndTriedAgainLater) {
  hand_.fail(Error(Errc::kIo, "the disk is bad"));
  turn();
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 2U);
  EXPECT_EQ(journal_.count("ballast.failed"), 2U);
  EXPECT_EQ(shown("/docker").reason, "the disk is bad");
  hand_.fail(std::nullopt);
  clock_.advance(std::chrono::minutes{1});
  turn();
  EXPECT_EQ(shown("/docker").bytes, kGiB);
}

TEST_F(BallastTest, WhatAFilesystemCannotDoIsNotTriedAgain) {
  hand_.fail(Error(Errc::kInvalid, "no blocks in advance"));
  turn();
  clock_.advance(std::chrono::hours{1});
  turn();
  EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 2U);
}

TEST_F(BallastTest, OneThatSomebodyDeletedIsMadeAgain) {
  turn();
  hand_.put(1, 0);
  clock_.advance(std::chrono::minutes{1});
  turn();
  EXPECT_EQ(shown("/docker").bytes, kGiB);
  EXPECT_EQ(hand_.asked(BallastAct::kMake).size(), 3U);
}

TEST_F(BallastTest, MakingItIsNoTrend) {
  for (int i = 0; i < 8; ++i) {
    clock_.advance(Duration{1'000});
    testing::run_void(loop_, filesystems_.observe(true));
  }
  turn();
  paths_.put("/docker", 1, 59);
  for (int i = 0; i < 9; ++i) {
    clock_.advance(Duration{1'000});
    testing::run_void(loop_, filesystems_.observe(true));
    for (const auto& view : filesystems_.snapshots()) EXPECT_EQ(view.pressure.fill_bytes_per_second, 0) << view.mount;
  }
}

TEST_F(BallastTest, AnotherDiskMountedOverThePathHasABallastOfItsOwn) {
  turn();
  paths_.put("/docker", 1, 60, /*fsid=*/2);
  turn();
  EXPECT_EQ(shown("/docker").bytes, kGiB);
  EXPECT_EQ(hand_.asked(BallastAct::kKeep).size(), 3U) << "looked at anew";
}

TEST_F(BallastTest, AfterStopNothingIsBegun) {
  ballast_.stop();
  turn();
  EXPECT_TRUE(hand_.asked(BallastAct::kKeep).empty());
}

}  // namespace
}  // namespace buildwarden::disk
