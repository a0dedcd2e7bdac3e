#include "daemon/policy/build_steps.h"

#include <gtest/gtest.h>

#include <chrono>

namespace buildwarden::policy {
namespace {

using std::chrono::seconds;

WallTime moment(std::int64_t milliseconds) { return WallTime{Duration{1'790'000'000'000 + milliseconds}}; }

BuildStep built(std::string name, std::int64_t started, std::int64_t completed) {
  return BuildStep{std::move(name), moment(started), moment(completed)};
}

CacheRecord made(std::string description, std::int64_t created) {
  CacheRecord result;
  result.id = description;
  result.created = moment(created);
  result.last_used = result.created;
  result.description = std::move(description);
  return result;
}

TEST(BuildSteps, AStepAndItsRecordSayTheSame) {
  EXPECT_EQ(text_of_step("[build 3/7] RUN npm ci"), "npm ci");
  EXPECT_EQ(text_of_record("mount / from exec /bin/sh -c npm ci"), "npm ci");
  EXPECT_EQ(text_of_record("mount / from exec /bin/bash -o pipefail -c npm ci"), "npm ci");
  EXPECT_EQ(text_of_step("[2/3] RUN --mount=type=cache,target=/root/.npm --network=none npm ci   &&\n  npm test"),
            "npm ci && npm test");
  EXPECT_EQ(text_of_record("mount / from exec /bin/sh -c npm ci &&     npm test"), "npm ci && npm test");
  EXPECT_EQ(text_of_step(R"([2/2] RUN ["/busybox", "dd", "of=/a \"b\""])"), R"(/busybox dd of=/a "b")");
  EXPECT_EQ(text_of_record(R"(mount / from exec /busybox dd of=/a "b")"), R"(/busybox dd of=/a "b")");
  EXPECT_EQ(text_of_step(R"([2/2] RUN ["sh", "-c", "make"])"), text_of_record("mount / from exec sh -c make"));
  EXPECT_EQ(text_of_step("[stage-1 2/4] COPY . ."), text_of_record("[stage-1 3/5] COPY . ."));
  EXPECT_EQ(text_of_step("[internal] load build context"), text_of_record("local source for context"));
}

TEST(BuildSteps, WhatACacheMountHoldsIsNoResultOfTheStep) {
  EXPECT_NE(text_of_record("cached mount /root/.npm from exec /bin/sh -c npm ci"), text_of_step("[1/1] RUN npm ci"));
}

// Issue 18's measured table, from buildkitd 0.32.2: what misleads there is what nothing here asks.
TEST(BuildSteps, SecondsAreThoseOfTheHistory) {
  const std::vector<BuildStep> steps = {built("[2/5] RUN sleep 3", 0, 3'170), built("[3/5] RUN sleep 8", 3'190, 11'381),
                                        built("[4/5] COPY blob /", 11'400, 12'062),
                                        built("[par 1/1] RUN sleep 5", 100, 5'674),
                                        built("[5/5] RUN sleep 1", 12'100, 13'342)};
  const std::vector<CacheRecord> records = {
      made("mount / from exec /bin/sh -c sleep 3", 3'175),   // inner: 2 to 28 ms after the end
      made("mount / from exec /bin/sh -c sleep 8", 11'392),  //
      made("[4/5] COPY blob /", 12'070),
      made("mount / from exec /bin/sh -c sleep 5", 5'690),
      made("mount / from exec /bin/sh -c sleep 1", 12'120),  // a leaf: 17 to 22 ms after the begin
      made("pulled from docker.io/library/alpine", -47'000)};
  const auto seconds = seconds_of_records(records, steps);
  ASSERT_EQ(seconds.size(), 5U);
  EXPECT_DOUBLE_EQ(seconds.at(0), 3.17);
  EXPECT_DOUBLE_EQ(seconds.at(1), 8.191);
  EXPECT_DOUBLE_EQ(seconds.at(2), 0.662);
  EXPECT_DOUBLE_EQ(seconds.at(3), 5.574);
  EXPECT_DOUBLE_EQ(seconds.at(4), 1.242);
}

// The same line of two Dockerfiles, or of two builds: the time tells which record is whose.
TEST(BuildSteps, TheSameTextIsToldApartByTime) {
  const std::vector<BuildStep> steps = {built("[2/2] RUN make", 0, 60'000), built("[2/2] RUN make", 90'000, 95'000)};
  const std::vector<CacheRecord> records = {made("mount / from exec /bin/sh -c make", 95'012),
                                            made("mount / from exec /bin/sh -c make", 60'012),
                                            made("mount / from exec /bin/sh -c make", -900'000)};
  const auto seconds = seconds_of_records(records, steps);
  ASSERT_EQ(seconds.size(), 2U);
  EXPECT_DOUBLE_EQ(seconds.at(0), 5);
  EXPECT_DOUBLE_EQ(seconds.at(1), 60);
}

TEST(BuildSteps, OneStepMadeOneRecord) {
  const std::vector<BuildStep> steps = {built("[2/2] RUN make", 0, 500)};
  const std::vector<CacheRecord> records = {made("mount / from exec /bin/sh -c make", 700),
                                            made("mount / from exec /bin/sh -c make", 510)};
  const auto seconds = seconds_of_records(records, steps);
  ASSERT_EQ(seconds.size(), 1U);
  EXPECT_TRUE(seconds.contains(1)) << "the nearer one";
}

}  // namespace
}  // namespace buildwarden::policy
