#include "daemon/emulation/emulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <set>
#include <string>

#include "daemon/emulation/platform.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_containers.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::emulation {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::run_on;
using testing::run_void;

class EmulationTest : public ::testing::Test {
 protected:
  EmulationTest() {
    settings_.emulation.all_platforms = false;
    settings_.emulation.platforms = {"linux/arm64"};
    Machine machine;
    machine.read = [this](const std::string&) { return table_; };
    machine.add = [this](const std::string&, const policy::BinfmtEntry& entry) -> Result<void> {
      ++added_;
      if (refused_) return *refused_;
      table_.entries.push_back(entry);
      return {};
    };
    machine.remove = [this](const std::string&, const std::string& name) -> Result<void> {
      std::erase_if(table_.entries, [&](const auto& one) { return one.name == name; });
      return {};
    };
    machine.mount = [this](const std::string&) -> Result<void> {
      ++mounts_;
      return Error(Errc::kDenied, "mounting needs CAP_SYS_ADMIN");
    };
    machine.desired = [](const std::vector<std::string>&) {
      policy::DesiredPlatform wish;
      wish.platform = "linux/arm64";
      wish.handler = "buildwarden-aarch64";
      wish.magic = std::string(20, 'a');
      wish.mask = std::string(20, '\xff');
      wish.wanted = policy::BinfmtEntry{wish.handler, true, "/usr/bin/qemu", "POCF", 0, wish.magic, wish.mask};
      return std::vector<policy::DesiredPlatform>{wish};
    };
    machine.execute = [this](const std::vector<std::string>& names, const std::stop_token&) {
      ++executed_;
      const bool runs = std::any_of(table_.entries.begin(), table_.entries.end(),
                                    [](const auto& one) { return one.enabled && one.interpreter == "/usr/bin/qemu"; });
      std::map<std::string, policy::Proof> proofs;
      for (const auto& name : names) {
        proofs[name] = {runs ? policy::ProofResult::kRan : policy::ProofResult::kFailed, "told"};
        if (control_fails_) proofs[name] = {policy::ProofResult::kUnknown, "the control failed"};
      }
      return proofs;
    };
    emulation_ = std::make_unique<Emulation>(
        Emulation::Parts{settings_, clock_, journal_, workers_, engine_,
                         [this](std::string image, std::vector<std::string>) { return fetch(std::move(image)); },
                         [this] { ++told_; }, std::move(machine)});
  }

  ports::Async<void> fetch(std::string image) {
    images_.push_back(std::move(image));
    co_return Error(Errc::kIo, "no luck");
  }
  policy::PlatformStatus turn(bool execute = false) {
    run_void(loop_, emulation_->turn(execute));
    const auto view = emulation_->emulators_view();
    return view.emulators.empty() ? policy::PlatformStatus{} : view.emulators.front();
  }

  boost::asio::io_context loop_;
  Settings settings_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  testing::FakeContainers engine_;
  WorkerPool workers_{1};
  policy::ObservedEmulation table_;
  std::optional<Error> refused_;
  bool control_fails_ = false;
  int added_ = 0;
  int mounts_ = 0;
  int executed_ = 0;
  int told_ = 0;
  std::vector<std::string> images_;
  std::unique_ptr<Emulation> emulation_;
};

TEST_F(EmulationTest, RegistersProvesAndTellsOnce) {
  const auto status = turn();
  EXPECT_EQ(status.state, policy::PlatformState::kProven);
  EXPECT_TRUE(status.ours);
  EXPECT_EQ(journal_.count("emulation.proven"), 1U);
  EXPECT_EQ(told_, 1);
  EXPECT_TRUE(emulation_->not_ready().empty());
}

TEST_F(EmulationTest, ComparesWithoutExecutingUntilSomethingChangesOrAnHourHasPassed) {
  turn();
  const int first = executed_;
  for (int times = 0; times < 100; ++times, clock_.advance(seconds{30})) turn();
  EXPECT_EQ(executed_, first);
  clock_.advance(std::chrono::hours{1});
  turn();
  EXPECT_EQ(executed_, first + 1);
  turn(true);
  EXPECT_EQ(executed_, first + 2);
  emulation_->look_now();
  turn();
  EXPECT_EQ(executed_, first + 3);
}

TEST_F(EmulationTest, ALossIsSeenRestoredAndMeasured) {
  turn();
  clock_.advance(seconds{30});
  table_.entries.clear();
  EXPECT_EQ(turn().state, policy::PlatformState::kProven);
  ASSERT_EQ(journal_.count("emulation.restored"), 1U);
  EXPECT_THAT(journal_.last("emulation.restored").reason, HasSubstr("after 30s at most"));
  EXPECT_EQ(emulation_->emulators_view().restored.at("linux/arm64"), 1U);
  EXPECT_EQ(told_, 2);
}

TEST_F(EmulationTest, AFailedControlRunChangesNothingAndIsSaid) {
  turn();
  EXPECT_TRUE(emulation_->emulators_view().executions.good);
  control_fails_ = true;
  const int added = added_;
  table_.entries.clear();
  EXPECT_EQ(turn(true).state, policy::PlatformState::kUnknown);
  EXPECT_EQ(added_, added);
  EXPECT_EQ(journal_.count("emulation.unknown"), 1U);
  EXPECT_FALSE(emulation_->not_ready().empty());
  const auto view = emulation_->emulators_view();
  EXPECT_FALSE(view.executions.good);
  EXPECT_TRUE(view.comparisons.good) << "the entries could be read";
}

TEST_F(EmulationTest, WhatTheKernelRefusesIsSaidAndNotRepeatedAtOnce) {
  refused_ = Error(Errc::kNotFound, "no such interpreter");
  const auto status = turn();
  EXPECT_EQ(status.rule, "backing_off");
  EXPECT_THAT(status.reason, HasSubstr("no such interpreter"));
  EXPECT_EQ(added_, 1);
  for (int times = 0; times < 20; ++times) turn();
  EXPECT_EQ(added_, 1);
  ASSERT_EQ(emulation_->not_ready().size(), 1U);
  EXPECT_THAT(emulation_->not_ready()[0].reason, HasSubstr("linux/arm64"));
}

TEST_F(EmulationTest, AMountThatIsForbiddenIsSaidOnce) {
  table_.trouble = "binfmt_misc is not mounted";
  for (int times = 0; times < 5; ++times) turn();
  EXPECT_THAT(turn().reason, HasSubstr("CAP_SYS_ADMIN"));
  EXPECT_EQ(emulation_->emulators_view().comparisons.failures, 6U);
  EXPECT_EQ(journal_.count("emulation.missing"), 1U);
  EXPECT_EQ(executed_, 0);
}

TEST_F(EmulationTest, DryRunOnlySaysWhatItWouldDo) {
  settings_.dry_run = true;
  for (int times = 0; times < 3; ++times) turn();
  EXPECT_EQ(added_, 0);
  EXPECT_EQ(journal_.count("emulation.would"), 1U);
}

TEST_F(EmulationTest, OffDoesNothingAtAll) {
  settings_.emulation.platforms.clear();
  turn(true);
  EXPECT_EQ(executed_ + added_ + mounts_, 0);
  EXPECT_EQ(emulation_->emulators_view().native, own_platform()->name) << "builders are asked which theirs is";
  EXPECT_TRUE(journal_.events.empty());
  EXPECT_EQ(run_on(loop_, emulation_->await_platforms({"linux/arm64"})), "");
}

TEST_F(EmulationTest, TheImageIsTheNextSourceAndItsWordsAreKept) {
  settings_.emulation.order = {"image"};
  settings_.emulation.image = "binfmt:1";
  const auto status = turn();
  EXPECT_EQ(images_, std::vector<std::string>{"binfmt:1"});
  EXPECT_THAT(status.reason, HasSubstr("no luck"));
  EXPECT_EQ(added_, 0);
}

// Else it is deleted for room and pulled again. The stack pins it by digest; of an archive it has its tag alone.
TEST_F(EmulationTest, TheImageIsHeldUnderAllItsNamesWhileHandlersMayComeFromIt) {
  using Names = std::set<std::string>;
  settings_.emulation.order = {"host", "image"};
  EXPECT_EQ(emulation_->held_images(), Names{}) << "none is configured";
  settings_.emulation.image = "tonistiigi/binfmt:qemu-v9@sha256:7e6f";
  EXPECT_EQ(emulation_->held_images(), (Names{"tonistiigi/binfmt:qemu-v9@sha256:7e6f", "tonistiigi/binfmt:qemu-v9"}));
  settings_.emulation.image = "binfmt:1";
  EXPECT_EQ(emulation_->held_images(), Names{"binfmt:1"});
  settings_.emulation.order = {"host"};
  EXPECT_EQ(emulation_->held_images(), Names{}) << "it is never run";
  settings_.emulation.order = {"image"};
  settings_.emulation.platforms.clear();
  EXPECT_EQ(emulation_->held_images(), Names{}) << "emulation is off";
}

TEST_F(EmulationTest, AJobIsToldWhatDoesNotRun) {
  EXPECT_EQ(run_on(loop_, emulation_->await_platforms({"linux/arm64"})), "");
  EXPECT_THAT(run_on(loop_, emulation_->await_platforms({"linux/s390x"})), HasSubstr("not in emulation.platforms"));
  refused_ = Error(Errc::kDenied, "forbidden");
  table_.entries.clear();
  EXPECT_THAT(run_on(loop_, emulation_->await_platforms({"linux/arm64"})), HasSubstr("linux/arm64 does not run here"));
}

}  // namespace
}  // namespace buildwarden::emulation
