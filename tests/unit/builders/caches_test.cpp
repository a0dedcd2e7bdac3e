#include "daemon/builders/caches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_containers.h"

namespace buildwarden::builders {
namespace {

using ::testing::ElementsAre;

std::vector<BuilderSettings> named(const std::vector<std::string>& names) {
  std::vector<BuilderSettings> builders;
  for (const auto& name : names) builders.emplace_back().name = name;
  return builders;
}

TEST(Caches, FollowTheConfiguration) {
  testing::FakeContainers engine;
  WorkerPool workers{1};
  Caches caches(named({"s3"}), {engine, engine, workers});
  auto* first = caches.find("s3");
  ASSERT_NE(first, nullptr);
  const auto before = caches.current();
  caches.reconfigure(named({"new", "s3"}));
  EXPECT_THAT(before, ElementsAre(first)) << "who walks a list is not disturbed";
  EXPECT_THAT(caches.current(), ElementsAre(caches.find("new"), first));
  EXPECT_EQ(caches.find("new")->builder(), "new");

  caches.reconfigure(named({"new"}));
  EXPECT_EQ(caches.find("s3"), nullptr);
  EXPECT_EQ(first->builder(), "s3") << "it lives on for whoever is at it";
  caches.reconfigure(named({"s3"}));
  EXPECT_EQ(caches.find("s3"), first);
}

}  // namespace
}  // namespace buildwarden::builders
