// Between plan and deletion the world moves on: on a real engine, what was planned and has changed since is left alone.
#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "tests/support/disk_half.h"

namespace buildwarden::disk {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DiskGuardRace : public HalfFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return std::string("--engine ") + GetParam(); }

  // One victim, what happens to it, and why it is left alone.
  void expect_left_alone(const std::string& meanwhile, const std::string& reason) {
    make_anew();
    const auto id = shell("docker image inspect -f '{{.Id}}' victim/x:1");
    reclaim_while([&](const policy::Candidate&) { shell(meanwhile); });
    EXPECT_THAT(deleted_, IsEmpty()) << meanwhile;
    EXPECT_THAT(dropped(), Contains(HasSubstr(reason))) << meanwhile;
    EXPECT_EQ(shell("docker image inspect -f '{{.Id}}' " + id), id) << meanwhile;
  }
  // One image that may go, one that is kept, and nothing else.
  void make_anew() {
    shell("docker ps -aq | xargs -r docker rm -f; docker images -aq | sort -u | xargs -r docker rmi -f");
    make("safe/other:1");
    make("victim/x:1");
  }
};

TEST_P(DiskGuardRace, WhatChangedAfterThePlanIsLeftAlone) {
  make("safe/other:1");
  reclaim_while({});
  EXPECT_THAT(deleted_, IsEmpty()) << "disk.keep";

  expect_left_alone("docker tag safe/other:1 victim/x:1", "victim/x:1 names sha256:");
  expect_left_alone("docker run -d --network none --name racer victim/x:1", "in use by container racer");
  expect_left_alone("docker create --name racer victim/x:1", "in use by container racer");
  expect_left_alone("docker tag victim/x:1 victim/x:2", "used since the plan");
  expect_left_alone("docker run --rm --network none victim/x:1 /busybox true", "used since the plan");
  expect_left_alone("docker tag victim/x:1 victim/x:kept; docker rmi victim/x:1", "victim/x:1 is gone");

  // Two names: the second one moves away; nothing else goes.
  make_anew();
  shell("docker tag victim/x:1 victim/x:2");
  reclaim_while([this](const policy::Candidate&) { shell("docker tag safe/other:1 victim/x:2"); });
  EXPECT_THAT(dropped(), Contains(HasSubstr("victim/x:2 names sha256:")));
  shell("docker image inspect victim/x:1 > /dev/null; docker rmi victim/x:1 victim/x:2");

  // An image without a name gets one.
  make_anew();
  make("victim/x:1");
  reclaim_while([this](const policy::Candidate& candidate) {
    if (candidate.references.empty()) shell("docker tag " + candidate.id + " safe/named:1");
  });
  EXPECT_THAT(dropped(), Contains(HasSubstr("it has a name now: safe/named:1")));
  EXPECT_THAT(deleted_, Contains("victim/x:1"));
  shell("docker image inspect safe/named:1 > /dev/null");
}

// A container that only stands there, and was there before the plan.
TEST_P(DiskGuardRace, AStoppedContainersImageIsNotEvenPlanned) {
  make("used/x:1");
  shell("docker create --name stopped used/x:1");
  reclaim_while({});
  EXPECT_THAT(deleted_, IsEmpty());
  EXPECT_THAT(dropped(), IsEmpty());
}

// Another engine answers on the socket, and has an image of the same name and id.
TEST_P(DiskGuardRace, AnEngineOfAnotherDataRootLosesNothing) {
  make("victim/x:1");
  const auto id = shell("docker image inspect -f '{{.Id}}' victim/x:1");
  shell("docker save -o $DIR/victim.tar victim/x:1");
  half_->journal.events.clear();
  swap_engine("other");
  shell("docker load -qi $DIR/victim.tar");
  testing::run_until(loop_, [this] { return half_->journal.count("engine.connected") > 0; });

  reclaim_while([this](const policy::Candidate&) { swap_engine("docker"); });
  EXPECT_THAT(deleted_, IsEmpty());
  auto why = reasons("reclaim.dropped");
  for (auto& reason : reasons("reclaim.rung_failed")) why.push_back(std::move(reason));
  EXPECT_THAT(why, Contains(AnyOf(HasSubstr("another engine"), HasSubstr("went down"), HasSubstr("is away"),
                                  HasSubstr("is down"), HasSubstr("lost track"))));
  EXPECT_EQ(shell("docker image inspect -f '{{.Id}}' victim/x:1"), id);
  // Each has a ledger of its own.
  testing::run_until(loop_, [this] { return half_->engine.status().identity.root_dir == dir() + "/disk/docker"; });
  settle();
  EXPECT_EQ(half_->store.rows.size(), 2U) << "of the first, saved when it went, and of the other";
}

INSTANTIATE_TEST_SUITE_P(OnEngine, DiskGuardRace, ::testing::Values("26.1", "20.10"), [](const auto& param) {
  return std::string("Docker") + (std::string(param.param) == "26.1" ? "26" : "20");
});

}  // namespace
}  // namespace buildwarden::disk
