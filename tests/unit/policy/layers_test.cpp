// Which images go and which stay, when some are built on others.
#include "daemon/policy/layers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "daemon/policy/eviction_order.h"
#include "tests/unit/policy/eviction_cases.h"

namespace buildwarden::policy {
namespace {

using cases::kAtEviction;
using cases::rules_of;
using std::chrono::hours;
using std::chrono::minutes;

Candidate layered(std::string name, LayerChain layers, Bytes size, Duration unused = hours{20}) {
  Candidate candidate;
  candidate.id = "sha256:" + name;
  candidate.name = name + ":1";
  candidate.references = {candidate.name};
  candidate.size = size;
  candidate.layers = std::move(layers);
  candidate.last_use = {kAtEviction.wall - unused, unused};
  return candidate;
}

std::vector<std::string> names_in(const std::vector<Candidate>& candidates) {
  std::vector<std::string> result;
  for (const auto& candidate : candidates) result.push_back(candidate.name);
  return result;
}
std::vector<Bytes> sizes_in(const std::vector<Candidate>& candidates) {
  std::vector<Bytes> result;
  for (const auto& candidate : candidates) result.push_back(candidate.size);
  return result;
}
using Names = std::vector<std::string>;
using Sizes = std::vector<Bytes>;

// root <- 1 <- … <- 12, each one layer of a byte more; the root has 600.
std::vector<Candidate> chain_of_twelve() {
  LayerChain layers{100};
  std::vector<Candidate> images{layered("root", layers, 600)};
  for (int i = 1; i <= 12; ++i) {
    layers.push_back(static_cast<std::uint64_t>(i));
    images.push_back(layered(std::to_string(i), layers, 600 + i));
  }
  return images;
}

TEST(Layers, WhatIsBuiltOnWhat) {
  EXPECT_TRUE(is_built_on({1, 2, 3}, {1, 2}));
  EXPECT_TRUE(is_built_on({1, 2}, {1, 2})) << "the same layers";
  EXPECT_FALSE(is_built_on({1, 2}, {1, 2, 3}));
  EXPECT_FALSE(is_built_on({2, 1, 3}, {1, 2})) << "the order counts: a layer lies on those below it";
  EXPECT_FALSE(is_built_on({1, 2}, {})) << "not known";
  EXPECT_NE(layer_number("sha256:a"), layer_number("sha256:b"));
}

TEST(Layers, OfAChainWithOneInUseNowWhatLiesBelowItStays) {
  auto images = chain_of_twelve();
  images[3].last_use = {kAtEviction.wall - minutes{1}, minutes{1}};
  const auto ranking = rank(images, rules_of(hours{4}), kAtEviction);
  EXPECT_EQ(names_in(ranking.order), (Names{"12:1", "11:1", "10:1", "9:1", "8:1", "7:1", "6:1", "5:1", "4:1"}));
  EXPECT_EQ(sizes_in(ranking.order), Sizes(9, 1)) << "each gives its own layer back";
  ASSERT_EQ(ranking.skipped.size(), 4U);
  for (const auto& skipped : ranking.skipped) {
    EXPECT_EQ(skipped.rule, "grace") << skipped.candidate.name;
    EXPECT_EQ(skipped.why, "last used 1m ago, within the grace of 10m");
    EXPECT_EQ(skipped.candidate.last_use.by, skipped.candidate.name == "3:1" ? "" : "3:1");
  }
}

TEST(Layers, OfAChainThatNobodyUsedTheTopGoesFirstAndTheRootLast) {
  const auto ranking = rank(chain_of_twelve(), rules_of(hours{4}), kAtEviction);
  EXPECT_EQ(names_in(ranking.order),
            (Names{"12:1", "11:1", "10:1", "9:1", "8:1", "7:1", "6:1", "5:1", "4:1", "3:1", "2:1", "1:1", "root:1"}));
  EXPECT_EQ(ranking.order.back().size, 600);
}

struct Reason {
  const char* rule;
  void (*holds)(Candidate& image, EvictionRules& rules);
};

// Whatever holds an image holds what it is built on, which would give nothing back.
TEST(Layers, WhatIsBuiltOnStaysForEachReason) {
  const Reason reasons[] = {
      {"in_use", [](Candidate& image, EvictionRules&) { image.in_use_by = "container web"; }},
      {"protected", [](Candidate& image, EvictionRules&) { image.protected_as = "held as app:1"; }},
      {"keep", [](Candidate&, EvictionRules& rules) { rules.keep = {"app"}; }},
  };
  for (const auto& [rule, holds] : reasons) {
    auto app = layered("app", {1, 2}, 700);
    auto rules = rules_of(hours{4});
    holds(app, rules);
    const auto ranking =
        rank({layered("toolchain", {1}, 600), app, layered("other", {1, 3}, 650), layered("lone", {9}, 5)}, rules,
             kAtEviction);
    EXPECT_EQ(names_in(ranking.order), (Names{"other:1", "lone:1"})) << rule;
    EXPECT_EQ(sizes_in(ranking.order), (Sizes{50, 5})) << "without what it shares with the toolchain, which stays";
    ASSERT_EQ(ranking.skipped.size(), 2U);
    EXPECT_EQ(ranking.skipped[0].rule, rule);
    EXPECT_EQ(ranking.skipped[1].rule, "shared");
    EXPECT_EQ(ranking.skipped[1].why, "all its layers are in app:1, which stays: " + ranking.skipped[0].why);
  }
}

TEST(Layers, WhatIsOfAnotherRungHoldsWhatItIsBuiltOn) {
  auto nameless = layered("nameless", {1, 2}, 700);
  nameless.is_beside = true;
  const auto ranking = rank({layered("toolchain", {1}, 600), nameless}, rules_of(hours{4}), kAtEviction);
  EXPECT_TRUE(ranking.order.empty());
  ASSERT_EQ(ranking.skipped.size(), 1U) << "it is no candidate itself";
  EXPECT_EQ(ranking.skipped[0].why, "all its layers are in nameless:1, which stays");
  EXPECT_EQ(to_text(spared(ranking.skipped)), "1 (600 B) part of images that stay");
}

// A build that only sets variables adds no layer.
TEST(Layers, OfTwoWithTheSameLayersOneThatStaysHoldsTheOther) {
  auto app = layered("app", {1, 2}, 700);
  const auto toolchain = layered("toolchain", {1, 2}, 700);
  const auto both = rank({app, toolchain}, rules_of(hours{4}), kAtEviction);
  EXPECT_EQ(names_in(both.order), (Names{"app:1", "toolchain:1"}));
  EXPECT_EQ(sizes_in(both.order), (Sizes{0, 700})) << "the last one gives all of it back";
  app.in_use_by = "container web";
  EXPECT_TRUE(rank({app, toolchain}, rules_of(hours{4}), kAtEviction).order.empty());
}

TEST(Layers, OfImagesWithoutKnownLayersNothingIsSaid) {
  const auto ranking =
      rank({layered("one", {}, 100), layered("other", {}, 50, minutes{1})}, rules_of(hours{4}), kAtEviction);
  EXPECT_EQ(names_in(ranking.order), (Names{"one:1"}));
  EXPECT_EQ(ranking.order[0].size, 100);
}

}  // namespace
}  // namespace buildwarden::policy
