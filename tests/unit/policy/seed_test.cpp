#include "daemon/policy/seed.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/policy/moments.h"

namespace buildwarden::policy {
namespace {

using cases::after;
using cases::kNow;
using std::chrono::hours;
using std::chrono::minutes;

SeedManifest good_seed() {
  SeedManifest manifest;
  manifest.builder = "s3";
  manifest.architecture = "amd64";
  manifest.buildkit = "v0.23.2";
  manifest.snapshotter = "overlayfs";
  manifest.parts = {{"20261201T010203Z-0123456789abcdef-0.tar.zst", 100, std::string(64, 'a')},
                    {"20261201T010203Z-0123456789abcdef-1.tar.zst", kGiB, std::string(64, 'b')}};
  manifest.unpacked_bytes = 2 * kGiB;
  manifest.entries = 50'000;
  return manifest;
}

SeedHost seed_host() { return {"s3", "amd64", "v0.13.0", "overlayfs"}; }

struct RefusalCase {
  const char* rule;
  std::function<void(SeedManifest&, SeedHost&)> change;
};

TEST(Seed, IsRefusedWhereItDoesNotFit) {
  EXPECT_FALSE(seed_refusal(good_seed(), seed_host(), 20 * kGiB)) << "another version of the same major one fits";
  const std::vector<RefusalCase> cases = {
      {"format", [](auto& seed, auto&) { seed.format = 2; }},
      {"builder", [](auto& seed, auto&) { seed.builder = "pull-requests"; }},
      {"architecture", [](auto& seed, auto&) { seed.architecture = "arm64"; }},
      {"buildkit", [](auto& seed, auto&) { seed.buildkit = "v1.0.0"; }},
      {"buildkit", [](auto& seed, auto&) { seed.buildkit = ""; }},
      {"buildkit", [](auto&, auto& own) { own.buildkit = ""; }},
      {"snapshotter", [](auto& seed, auto&) { seed.snapshotter = "native"; }},
      {"snapshotter", [](auto&, auto& own) { own.snapshotter = ""; }},
      {"too_large", [](auto& seed, auto&) { seed.unpacked_bytes = 20 * kGiB + 1; }},
      {"too_large", [](auto& seed, auto&) { seed.parts[1].bytes = 20 * kGiB; }},
      {"too_large", [](auto& seed, auto&) { seed.entries = kMostSeedEntries + 1; }},
      {"manifest", [](auto& seed, auto&) { seed.parts.clear(); }},
      {"manifest", [](auto& seed, auto&) { seed.parts.resize(kMostSeedParts + 1, seed.parts[0]); }},
      {"manifest", [](auto& seed, auto&) { seed.parts[0].name = "../other/0.tar.zst"; }},
      {"manifest", [](auto& seed, auto&) { seed.parts[0].name = "-rf.tar.zst"; }},
      {"manifest", [](auto& seed, auto&) { seed.parts[0].name = "manifest.json"; }},
      {"manifest", [](auto& seed, auto&) { seed.parts[0].sha256 = "short"; }},
      {"manifest", [](auto& seed, auto&) { seed.parts[0].bytes = -1; }},
      {"manifest", [](auto& seed, auto&) { seed.images = {"node:20"}; }},
      {"manifest", [](auto& seed, auto&) { seed.images = {"--rm@sha256:" + std::string(64, 'a')}; }},
      {"manifest", [](auto& seed, auto&) { seed.images = {"no de@sha256:" + std::string(64, 'a')}; }},
      {"manifest",
       [](auto& seed, auto&) { seed.images.assign(kMostSeedImages + 1, "node@sha256:" + std::string(64, 'a')); }},
      {"manifest", [](auto& seed, auto&) { seed.unpacked_bytes = -1; }},
      {"manifest", [](auto& seed, auto&) { seed.previous = {"/etc/passwd"}; }},
  };
  for (std::size_t at = 0; at < cases.size(); ++at) {
    auto seed = good_seed();
    auto own = seed_host();
    cases[at].change(seed, own);
    const auto refusal = seed_refusal(seed, own, 20 * kGiB);
    ASSERT_TRUE(refusal) << at;
    EXPECT_EQ(refusal->rule, cases[at].rule) << at;
  }
}

TEST(Seed, OfAVolumeWithoutASnapshotterFits) {
  auto seed = good_seed();
  seed.snapshotter = "";
  EXPECT_FALSE(seed_refusal(seed, seed_host(), 20 * kGiB));
}

TEST(Seed, MajorVersions) {
  EXPECT_EQ(major_version("v0.13-engine26.1"), 0);
  EXPECT_EQ(major_version("12.3"), 12);
  for (const auto* text : {"", "v", "v1", "latest", "-1.2", "v.1"}) EXPECT_FALSE(major_version(text)) << text;
}

RestoreFacts fresh_builder() { return {true, false, true, false, true}; }

TEST(SeedRestore, OnlyIntoAnEmptyVolumeBeforeTheFirstStart) {
  EXPECT_EQ(plan_restore(fresh_builder()).verdict, RestoreVerdict::kLook);
  struct Case {
    const char* rule;
    RestoreVerdict verdict;
    std::function<void(RestoreFacts&)> change;
  };
  const std::vector<Case> cases = {
      {"off", RestoreVerdict::kCold, [](auto& facts) { facts.wanted = false; }},
      {"dry_run", RestoreVerdict::kCold, [](auto& facts) { facts.dry_run = true; }},
      {"engine_down", RestoreVerdict::kWait, [](auto& facts) { facts.engine_up = false; }},
      {"not_first", RestoreVerdict::kCold, [](auto& facts) { facts.container = true; }},
      {"not_empty", RestoreVerdict::kCold, [](auto& facts) { facts.volume_empty = false; }},
      {"volume_unknown", RestoreVerdict::kCold, [](auto& facts) { facts.volume_empty.reset(); }},
  };
  for (const auto& one : cases) {
    auto facts = fresh_builder();
    one.change(facts);
    const auto plan = plan_restore(facts);
    EXPECT_EQ(plan.rule, one.rule);
    EXPECT_EQ(plan.verdict, one.verdict) << one.rule;
  }
}

TEST(SeedRestore, StaysAboveTheTarget) {
  auto seed = good_seed();
  seed.entries = 1'000;
  seed.unpacked_bytes = 2 * kGiB - 1'000 * kSeedEntryBytes;
  EXPECT_EQ(no_room_for(seed, {10 * kGiB, 8 * kGiB}), "");
  EXPECT_EQ(no_room_for(seed, {10 * kGiB, 8 * kGiB, true, 3'000, 2'000}), "");
  EXPECT_EQ(no_room_for(seed, {10 * kGiB, 8 * kGiB, true, 2'999, 2'000}),
            "2999 free inodes less its 1000 entries are below the target of 2000");
  EXPECT_EQ(no_room_for(seed, {10 * kGiB, 8 * kGiB, false, 0, 0}), "") << "a filesystem without a limit";
  seed.unpacked_bytes += 1;
  EXPECT_NE(no_room_for(seed, {10 * kGiB, 8 * kGiB}), "");
  EXPECT_NE(no_room_for(seed, {std::nullopt, 0}), "") << "unknown is never fine";
}

SaveFacts idle_builder() {
  SaveFacts facts;
  facts.when = SeedSave::kIdle;
  facts.warm = true;
  facts.running_builds = 0;
  facts.cache_bytes = kGiB;
  facts.idle_since = kNow.boot;
  facts.disk_ok = true;
  facts.every = hours{6};
  facts.max_size = 20 * kGiB;
  return facts;
}

std::string save_rule(const SaveFacts& facts) { return plan_save(facts, true, after(hours{1})).rule; }

TEST(SeedSave, OfABuilderThatNobodyUses) {
  EXPECT_EQ(save_rule(idle_builder()), "save") << "there is no seed yet";
  struct Case {
    const char* rule;
    std::function<void(SaveFacts&)> change;
  };
  const std::vector<Case> cases = {
      {"off", [](auto& facts) { facts.when = SeedSave::kNever; }},
      {"off", [](auto& facts) { facts.wanted = false; }},
      {"dry_run", [](auto& facts) { facts.dry_run = true; }},
      {"not_warm", [](auto& facts) { facts.warm = false; }},
      {"leased", [](auto& facts) { facts.leases = 1; }},
      {"builds", [](auto& facts) { facts.running_builds = 1; }},
      {"builds", [](auto& facts) { facts.running_builds.reset(); }},
      {"too_large", [](auto& facts) { facts.cache_bytes = 20 * kGiB + 1; }},
      {"disk", [](auto& facts) { facts.disk_ok = false; }},
      {"not_idle", [](auto& facts) { facts.idle_since.reset(); }},
      {"not_idle", [](auto& facts) { facts.idle_since = after(minutes{59}).boot; }},
      {"young", [](auto& facts) { facts.age = hours{6} - Duration{1}; }},
      {"save", [](auto& facts) { facts.age = hours{6}; }},
      {"not_draining", [](auto& facts) { facts.when = SeedSave::kDrain; }},
  };
  for (std::size_t at = 0; at < cases.size(); ++at) {
    auto facts = idle_builder();
    cases[at].change(facts);
    EXPECT_EQ(save_rule(facts), cases[at].rule) << at;
  }
}

TEST(SeedSave, OfAnInstanceThatEndsDoesNotWaitForTheBuilderToBeIdle) {
  auto facts = idle_builder();
  facts.when = SeedSave::kDrain;
  facts.draining = true;
  facts.idle_since.reset();
  facts.disk_ok = false;
  EXPECT_EQ(save_rule(facts), "save");
  facts.age = hours{1};
  EXPECT_EQ(save_rule(facts), "young");
}

TEST(SeedSave, WhoAsksNeedNotWait) {
  auto facts = idle_builder();
  facts.when = SeedSave::kNever;
  facts.idle_since.reset();
  facts.age = minutes{1};
  EXPECT_TRUE(plan_save_asked(facts, kNow).save);
  facts.leases = 1;
  EXPECT_EQ(plan_save_asked(facts, kNow).rule, "leased");
}

TEST(SeedSave, TheLocationIsAskedAgainWhenItsSeedIsOldEnough) {
  EXPECT_EQ(ask_again_after(hours{2}, hours{6}, 0.0), hours{4});
  EXPECT_EQ(ask_again_after(hours{2}, hours{6}, 1.0), hours{4} + minutes{36});
  EXPECT_EQ(ask_again_after(hours{9}, hours{6}, 0.0), minutes{1});
  EXPECT_EQ(ask_again_after(std::nullopt, hours{6}, 1.0), minutes{1} + minutes{36});
  // Of a thousand instances with an even chance two come within the half minute that a save takes, now and then.
  int early = 0;
  const auto first = ask_again_after(hours{6}, hours{6}, 1.0 / 1'000);
  for (int at = 1; at <= 1'000; ++at) {
    const auto asked = ask_again_after(hours{6}, hours{6}, at / 1'000.0);
    early += asked > first && asked < first + std::chrono::seconds{36} ? 1 : 0;
  }
  EXPECT_LE(early, 1);
}

TEST(SeedSave, OnlyWhatEndsIsBroughtDown) {
  auto facts = idle_builder();
  facts.cache_bytes = 30 * kGiB;
  EXPECT_EQ(save_rule(facts), "too_large");
  EXPECT_FALSE(bring_down_to(facts));
  facts.draining = true;
  EXPECT_EQ(save_rule(facts), "save");
  EXPECT_EQ(bring_down_to(facts), 18 * kGiB);
  facts.cache_bytes = 20 * kGiB;
  EXPECT_FALSE(bring_down_to(facts)) << "it fits as it is";
}

}  // namespace
}  // namespace buildwarden::policy
