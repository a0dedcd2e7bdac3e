#include "daemon/evictors/images_and_caches.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/loop.h"

namespace buildwarden::disk {
namespace {

using policy::RungId;
using testing::run_on;

// A rung that lists what it is given, and remembers which turn it was asked with.
class ListedEvictor final : public ports::Evictor {
 public:
  explicit ListedEvictor(RungId id) : id_(id) {}
  [[nodiscard]] RungId id() const override { return id_; }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override {
    asked = turn;
    return answer();
  }
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override {
    asked = turn;
    taken.push_back(candidate.id);
    return nothing();
  }
  void forget_list() override { ++forgotten; }

  std::vector<policy::Candidate> candidates;
  std::optional<Error> failure;
  std::vector<std::string> taken;
  policy::RungTurn asked{RungId::kLeftovers};
  int forgotten = 0;

 private:
  ports::Async<std::vector<policy::Candidate>> answer() {
    if (failure) co_return *failure;
    co_return candidates;
  }
  static ports::Async<ports::EvictionResult> nothing() { co_return ports::EvictionResult{}; }
  RungId id_;
};

policy::Candidate worth(std::string id, double seconds) {
  policy::Candidate candidate;
  candidate.id = std::move(id);
  candidate.size = kGiB;
  candidate.value.emplace();
  candidate.value->worth = seconds;
  return candidate;
}

class ImagesAndCachesTest : public ::testing::Test {
 protected:
  ImagesAndCachesTest() {
    images_.candidates = {worth("image-dear", 9), worth("image-cheap", 1)};
    caches_.candidates = {worth("cache-cheap", 2), worth("cache-dear", 8)};
    caches_.candidates[1].is_over_share = true;
  }
  std::vector<policy::Candidate> list() {
    auto all = run_on(loop_, rung_.list(turn_));
    EXPECT_TRUE(all);
    return all ? *std::move(all) : std::vector<policy::Candidate>{};
  }

  ListedEvictor images_{RungId::kImages};
  ListedEvictor caches_{RungId::kBuildCache};
  std::string device_ = "8:1";
  ImagesAndCaches rung_{{images_, caches_, [this] { return device_; }}};
  policy::RungTurn turn_{RungId::kUnused, 1, std::chrono::hours{4}};
  boost::asio::io_context loop_;
};

// Issue 18: images and the caches of all builders in one order.
TEST_F(ImagesAndCachesTest, ImagesAndCachesGoInOneOrder) {
  policy::EvictionRules rules;
  rules.by_value = true;
  std::string order;
  for (const auto& one : policy::rank(list(), rules, {}).order) {
    order += one.id + " " + std::string(policy::to_string(*one.rung)) + ", ";
  }
  EXPECT_EQ(order, "image-cheap images, cache-cheap build_cache, cache-dear build_cache_share, image-dear images, ");
  EXPECT_TRUE(caches_.asked.down_to_share);
  EXPECT_EQ(caches_.asked.rung, RungId::kBuildCache);
  EXPECT_EQ(images_.asked.rung, RungId::kImages);
  EXPECT_FALSE(rung_.lacking());
}

TEST_F(ImagesAndCachesTest, EachIsTakenByItsOwnRung) {
  for (const auto& one : list()) EXPECT_TRUE(run_on(loop_, rung_.evict(one, turn_)));
  EXPECT_EQ(images_.taken, (std::vector<std::string>{"image-dear", "image-cheap"}));
  EXPECT_EQ(caches_.taken, (std::vector<std::string>{"cache-cheap", "cache-dear"}));
  EXPECT_EQ(images_.asked.rung, RungId::kImages);
  rung_.forget_list();
  EXPECT_EQ(images_.forgotten + caches_.forgotten, 2);
}

// Images lie on one disk and builders' caches on another: each is deleted for its own.
TEST_F(ImagesAndCachesTest, AnImageNamesTheDiskThatItFrees) {
  for (const auto& one : list()) EXPECT_EQ(one.device, one.rung == RungId::kImages ? "8:1" : "");
  device_.clear();
  EXPECT_EQ(list().size(), 2U) << "nobody knows what an image would free";
  EXPECT_EQ(list()[0].rung, RungId::kBuildCache);
}

TEST_F(ImagesAndCachesTest, WhatFailsIsToldAndTheRestGoesOn) {
  caches_.failure.emplace(Errc::kIo, "no answer");
  EXPECT_EQ(list().size(), 2U);
  ASSERT_TRUE(rung_.lacking());
  EXPECT_EQ(rung_.lacking()->rung, RungId::kBuildCache);
  caches_.failure.reset();
  images_.failure.emplace(Errc::kUnavailable, "down");
  EXPECT_EQ(list().size(), 2U);
  EXPECT_EQ(rung_.lacking()->rung, RungId::kImages);
  caches_.failure.emplace(Errc::kIo, "no answer");
  EXPECT_FALSE(run_on(loop_, rung_.list(turn_)));
  EXPECT_FALSE(rung_.lacking()) << "then all of it failed";
}

}  // namespace
}  // namespace buildwarden::disk
