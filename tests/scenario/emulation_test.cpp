// Emulation over time: what is done and what must not be.
#include <gtest/gtest.h>

#include <string>

#include "daemon/policy/emulation.h"

namespace buildwarden::policy {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

struct Timeline : ::testing::Test {
  Timeline() {
    DesiredPlatform arm64;
    arm64.platform = "linux/arm64";
    arm64.handler = "buildwarden-aarch64";
    arm64.magic = std::string(20, 'a');
    arm64.mask = std::string(20, '\xff');
    arm64.wanted =
        BinfmtEntry{"buildwarden-aarch64", true, "/usr/bin/qemu-aarch64-static", "POCF", 0, arm64.magic, arm64.mask};
    arm64.why_not = "the host has no static QEMU for it";
    wish.platforms.push_back(arm64);
    seen.image_trouble = "no image is configured";
  }

  BinfmtEntry ours() const { return *wish.platforms[0].wanted; }
  BinfmtEntry foreign() const {
    auto entry = ours();
    entry.name = "qemu-aarch64";
    entry.interpreter = "/usr/bin/qemu-aarch64";
    return entry;
  }
  void proof(ProofResult result) { seen.proofs["linux/arm64"] = {result, "told"}; }
  void ran_by_path() { seen.proofs["linux/arm64"] = {ProofResult::kRan, "told", false}; }
  // As the daemon does with the plan's steps.
  void act() {
    for (const auto& step : plan.steps) {
      std::erase_if(seen.entries, [&](const auto& one) { return one.name == "buildwarden-aarch64"; });
      if (step.action == EmulationAction::kRegister) seen.entries.push_back(step.entry);
    }
  }
  const EmulationPlan& look() {
    plan = plan_emulation(wish, seen, std::move(plan.memory), now);
    return plan;
  }
  PlatformState state() const { return plan.platforms.at(0).state; }
  std::string steps() const {
    std::string all;
    for (const auto& step : plan.steps)
      all += std::string(all.empty() ? "" : " ") + std::string(to_string(step.action));
    return all;
  }
  void pass(Duration time) {
    now.wall += time;
    now.boot += time;
  }

  EmulationWish wish;
  ObservedEmulation seen;
  EmulationPlan plan;
  Now now{WallTime{seconds{1'800'000'000}}, BootTime{seconds{100}}};
};

TEST_F(Timeline, IsTriedBeforeAnythingIsDone) {
  look();
  EXPECT_TRUE(plan.prove);
  EXPECT_EQ(steps(), "");
}

TEST_F(Timeline, WhatIsMissingIsRegisteredAndThenProven) {
  proof(ProofResult::kFailed);
  look();
  EXPECT_EQ(state(), PlatformState::kMissing);
  EXPECT_EQ(steps(), "register");
  EXPECT_EQ(plan.steps[0].rule, "missing");
  seen.entries.push_back(ours());
  proof(ProofResult::kRan);
  look();
  EXPECT_EQ(state(), PlatformState::kProven);
  EXPECT_EQ(steps(), "");
  EXPECT_EQ(plan.platforms[0].proven_at, now.wall);
}

TEST_F(Timeline, OurEntryThatIsNotAsWantedIsMadeAnew) {
  for (const auto& [rule, change] :
       {std::pair<std::string, void (*)(BinfmtEntry&)>{"disabled", [](BinfmtEntry& e) { e.enabled = false; }},
        {"not_fixed", [](BinfmtEntry& e) { e.flags = "OC"; }},
        {"changed", [](BinfmtEntry& e) { e.interpreter = "/bin/false"; }},
        {"changed", [](BinfmtEntry& e) { e.mask[19] = '\0'; }}}) {
    seen.entries = {ours()};
    change(seen.entries[0]);
    proof(ProofResult::kFailed);
    look();
    EXPECT_EQ(steps(), "unregister register") << rule;
    EXPECT_EQ(plan.steps[0].entry.name, "buildwarden-aarch64");
    EXPECT_EQ(plan.steps[0].rule, rule);
  }
}

TEST_F(Timeline, AnEntryOfBeforeGetsFlagPWhenItsProgramsSeeTheirPath) {
  seen.entries = {ours()};
  seen.entries[0].flags = "OCF";
  ran_by_path();
  look();
  EXPECT_EQ(state(), PlatformState::kProven) << "it runs meanwhile";
  ASSERT_EQ(steps(), "unregister register");
  EXPECT_EQ(plan.steps[0].rule, "argv0");
  EXPECT_EQ(plan.steps[1].entry.flags, "POCF");
  act();
  proof(ProofResult::kRan);
  look();
  EXPECT_EQ(steps(), "");
}

// QEMU before 6.0: called with P, it takes the name for an argument, and the program still sees its path.
TEST_F(Timeline, AnEmulatorThatDoesNotKnowFlagPIsRegisteredWithoutIt) {
  proof(ProofResult::kFailed);
  look();
  act();
  ran_by_path();
  look();
  ASSERT_EQ(steps(), "unregister register") << "a newer entry of another tool may have been matched";
  EXPECT_EQ(plan.steps[1].entry.flags, "POCF");
  act();
  look();
  ASSERT_EQ(steps(), "unregister register");
  EXPECT_EQ(plan.steps[1].entry.flags, "OCF");
  act();
  look();
  EXPECT_EQ(steps(), "");
  EXPECT_EQ(state(), PlatformState::kProven);
  EXPECT_NE(plan.platforms[0].reason.find("see their path"), std::string::npos) << plan.platforms[0].reason;
}

TEST_F(Timeline, AFailedControlRunChangesNothing) {
  for (const bool present : {false, true}) {
    seen.entries.clear();
    if (present) seen.entries.push_back(ours());
    if (present) seen.entries[0].enabled = false;
    proof(ProofResult::kUnknown);
    look();
    EXPECT_EQ(state(), PlatformState::kUnknown);
    EXPECT_EQ(steps(), "");
  }
}

TEST_F(Timeline, OtherToolsEntriesAreNeverRemoved) {
  seen.entries = {foreign()};
  proof(ProofResult::kFailed);
  look();
  EXPECT_EQ(steps(), "register");
  // Ours stands and does not run, so theirs is matched before it: ours is made the newest.
  seen.entries.push_back(ours());
  look();
  EXPECT_EQ(steps(), "unregister register");
  EXPECT_EQ(plan.steps[0].entry.name, "buildwarden-aarch64");
}

TEST_F(Timeline, ForeignHandlerThatWorksIsJoinedByOurs) {
  seen.entries = {foreign()};
  proof(ProofResult::kRan);
  look();
  EXPECT_EQ(state(), PlatformState::kProven);
  EXPECT_EQ(steps(), "register");
}

TEST_F(Timeline, WhatTheKernelRunsByItselfNeedsNoHandler) {
  proof(ProofResult::kRan);
  look();
  EXPECT_EQ(state(), PlatformState::kNative);
  EXPECT_EQ(steps(), "");
}

TEST_F(Timeline, RepairsInVainAreSpacedAndGoToTheNextSource) {
  seen.image_usable = true;
  proof(ProofResult::kFailed);
  look();
  EXPECT_EQ(steps(), "register");
  note_repair(plan.memory, "linux/arm64", false, now);
  look();
  EXPECT_EQ(steps(), "");
  EXPECT_EQ(plan.platforms[0].rule, "backing_off");
  pass(seconds{31});
  look();
  EXPECT_EQ(steps(), "run_image");
  note_repair(plan.memory, "linux/arm64", false, now);
  pass(seconds{31});
  look();
  EXPECT_EQ(steps(), "");
  pass(seconds{31});
  look();
  EXPECT_EQ(steps(), "register");
  for (int more = 0; more < 40; ++more) note_repair(plan.memory, "linux/arm64", false, now);
  pass(minutes{10} + seconds{1});
  look();
  EXPECT_NE(steps(), "");
}

TEST_F(Timeline, RepairsThatDoNotLastAreSpaced) {
  int repairs = 0;
  for (int look_number = 0; look_number < 60; ++look_number, pass(seconds{1})) {
    seen.entries.clear();
    proof(ProofResult::kFailed);
    look();
    if (plan.steps.empty()) continue;
    ++repairs;
    seen.entries = {ours()};
    proof(ProofResult::kRan);
    look();
    note_repair(plan.memory, "linux/arm64", true, now);
  }
  EXPECT_EQ(repairs, 8);
  pass(minutes{1});
  seen.entries.clear();
  proof(ProofResult::kFailed);
  look();
  EXPECT_EQ(steps(), "register");
}

TEST_F(Timeline, TheLengthOfALossIsRemembered) {
  proof(ProofResult::kFailed);
  look();
  const auto lost = plan.memory.platforms["linux/arm64"].lost_at;
  pass(seconds{20});
  look();
  EXPECT_EQ(plan.memory.platforms["linux/arm64"].lost_at, lost);
  seen.entries = {ours()};
  proof(ProofResult::kRan);
  look();
  EXPECT_FALSE(plan.memory.platforms["linux/arm64"].lost_at);
}

TEST_F(Timeline, WithoutAnySourceItSaysWhy) {
  wish.platforms[0].wanted.reset();
  proof(ProofResult::kFailed);
  look();
  EXPECT_EQ(steps(), "");
  EXPECT_NE(plan.platforms[0].reason.find("no static QEMU"), std::string::npos) << plan.platforms[0].reason;
  EXPECT_NE(plan.platforms[0].reason.find("no image"), std::string::npos) << plan.platforms[0].reason;
}

TEST_F(Timeline, NothingIsDoneWithoutBinfmtMisc) {
  seen.trouble = "binfmt_misc is not mounted";
  look();
  EXPECT_EQ(state(), PlatformState::kMissing);
  EXPECT_EQ(plan.platforms[0].rule, "not_mounted");
  EXPECT_EQ(steps(), "");
  EXPECT_FALSE(plan.prove);
}

TEST_F(Timeline, TheHostsOwnPlatformNeedsNothing) {
  wish.platforms[0].native = true;
  seen.trouble = "binfmt_misc is not mounted";
  look();
  EXPECT_EQ(state(), PlatformState::kNative);
}

TEST_F(Timeline, APlatformThatIsNotKnownIsSaidAndNothingIsDone) {
  wish.platforms[0].handler.clear();
  wish.platforms[0].magic.clear();
  wish.platforms[0].wanted.reset();
  wish.platforms[0].why_not = "no platform of that name is known";
  seen.image_usable = true;
  proof(ProofResult::kFailed);
  look();
  EXPECT_EQ(steps(), "");
  EXPECT_NE(plan.platforms[0].reason.find("of that name"), std::string::npos) << plan.platforms[0].reason;
}

TEST_F(Timeline, NoPlatformWantedIsNothingToDo) {
  wish.platforms.clear();
  look();
  EXPECT_TRUE(plan.platforms.empty());
  EXPECT_FALSE(plan.prove);
}

TEST(Registration, IsWrittenAsTheKernelTakesIt) {
  const BinfmtEntry entry{"buildwarden-x", true, "/usr/bin/q", "F", 0, std::string("\x7f\0", 2), "\xff\xfe"};
  EXPECT_EQ(registration_of(entry), R"(:buildwarden-x:M:0:\x7f\x00:\xff\xfe:/usr/bin/q:F)");
}

}  // namespace
}  // namespace buildwarden::policy
