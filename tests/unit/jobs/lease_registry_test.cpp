#include "daemon/jobs/lease_registry.h"

#include <future>

#include "daemon/policy/leases.h"

#include "tests/unit/jobs/jobs_fixture.h"

namespace buildwarden::jobs {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr uid_t kAgent = 2000;

class LeaseRegistryTest : public JobsTest {
 protected:
  // Without pidfds: what the sweep alone finds.
  ports::Lease lease(const std::string& id, pid_t pid) {
    ports::Lease made;
    made.id = id;
    made.uid = kAgent;
    made.pid = pid;
    if (pid > 0) made.pid_started = Processes{}.look(pid)->started;
    made.started_wall = clock_.now().wall;
    made.started = clock_.now().boot;
    made.expires = clock_.now().boot + hours{1};
    made.alive = clock_.now().boot;
    return made;
  }
};

TEST_F(LeaseRegistryTest, EndsALeaseWhenItsProcessDies) {
  Child child;
  registry().put(lease("1", child.pid()));
  child.kill();
  testing::run_until(loop_, [&] { return known().empty(); });
  EXPECT_EQ(journal_.last("job.ended").rule, "pid_ended");
  settle();
  EXPECT_THAT(store_.saved, IsEmpty());
}

TEST_F(LeaseRegistryTest, SweepsProcessesThatNoPidfdTellsOf) {
  Child child;
  registry().put(lease("1", child.pid()));
  registry().sweep();
  EXPECT_THAT(known(), ElementsAre("1"));
  child.kill();
  registry().sweep();
  EXPECT_THAT(known(), IsEmpty()) << "also one that is not reaped yet";
}

TEST_F(LeaseRegistryTest, IsNotFooledByAnotherProcessOfTheSameNumber) {
  auto other = lease("1", ::getpid());
  ++other.pid_started;
  registry().put(other);
  registry().sweep();
  EXPECT_THAT(known(), IsEmpty());
}

TEST_F(LeaseRegistryTest, LetsTimeEndOnlyThoseWithoutAProcess) {
  registry().put(lease("timed", 0));
  registry().put(lease("held", ::getpid()));
  clock_.step_wall(hours{24});
  registry().sweep();
  EXPECT_THAT(known(), UnorderedElementsAre("timed", "held")) << "a clock that was set ends nothing";
  clock_.advance(hours{1} - Duration{1});
  registry().sweep();
  EXPECT_THAT(known(), UnorderedElementsAre("timed", "held"));
  clock_.advance(Duration{1});
  registry().sweep();
  EXPECT_THAT(known(), ElementsAre("held"));
  EXPECT_EQ(journal_.last("job.ended").rule, "expired");
}

TEST_F(LeaseRegistryTest, TakesOverWhatStillRuns) {
  Child child;
  auto gone = lease("gone", child.pid());
  child.end();
  store_.saved = {gone, lease("runs", ::getpid()), lease("timed", 0)};
  store_.saved[1].builders = {"arm"};
  store_.saved[2].builders = {"removed from the configuration"};
  EXPECT_THAT(known(), UnorderedElementsAre("runs", "timed"));
  settle();
  EXPECT_EQ(store_.saved.size(), 2U);
  EXPECT_THAT(handout_.held, UnorderedElementsAre("runs"));
  EXPECT_THAT(handout_.last.builders, ElementsAre("arm"));
}

TEST_F(LeaseRegistryTest, WatchesWhatItTookOver) {
  Child child;
  store_.saved = {lease("1", child.pid())};
  EXPECT_THAT(known(), ElementsAre("1"));
  child.kill();
  testing::run_until(loop_, [&] { return known().empty(); });
}

// Asio recycles what it keeps of a descriptor: news of the second process, not yet handed on, reaches the third lease.
TEST_F(LeaseRegistryTest, IsNotMisledByNewsThatWereMeantForAnotherProcess) {
  Child first;
  Child second;
  registry().put(lease("1", first.pid()));
  registry().put(lease("2", second.pid()));
  first.kill();
  second.kill();
  loop_.restart();
  while (known().size() == 2) loop_.run_one();
  registry().end(known().front(), "ended", "by its own request");
  Child third;
  registry().put(lease("3", third.pid()));
  loop_.poll();
  EXPECT_THAT(known(), ElementsAre("3"));
  third.kill();
  testing::run_until(loop_, [&] { return known().empty(); });
}

TEST_F(LeaseRegistryTest, ProtectsWhatTheOldestJobMayUse) {
  EXPECT_FALSE(registry().now().oldest_job_start);
  const auto first = clock_.now().wall;
  registry().put(lease("1", 0));
  clock_.advance(minutes{5});
  registry().put(lease("0", 0));
  EXPECT_EQ(registry().now().oldest_job_start, first);
}

TEST_F(LeaseRegistryTest, KeepsALeaseThatCannotBeSavedAndSaysSo) {
  store_.full = true;
  registry().put(lease("1", 0));
  EXPECT_THAT(known(), ElementsAre("1"));
  settle();
  EXPECT_THAT(journal_.last("job.lease_not_saved").reason, HasSubstr("no space"));
  registry().put(lease("2", 0));
  settle();
  EXPECT_EQ(journal_.count("job.lease_not_saved"), 1U) << "told once";
  store_.full = false;
  registry().put(lease("3", 0));
  settle();
  EXPECT_EQ(store_.saved.size(), 3U);
}

// Issue 14: each of many renewals cost a write of all leases, on the loop.
TEST_F(LeaseRegistryTest, ManyChangesAreFewWritesAndWhoWaitsFindsHisSaved) {
  for (int i = 0; i < 200; ++i) registry().put(lease(std::to_string(i % 20), 0));
  EXPECT_EQ(store_.saves, 0) << "nothing is written on the loop";
  settle();
  EXPECT_EQ(store_.saved.size(), 20U);
  EXPECT_LE(store_.saves, 2);
}

// The first write is under way while the second change comes: its answer waits for another write.
TEST_F(LeaseRegistryTest, AChangeDuringAWriteIsWrittenAfterwards) {
  registry().put(lease("1", 0));
  testing::run_until(loop_, [&] { return store_.saves == 1; });
  registry().put(lease("2", 0));
  settle();
  EXPECT_EQ(store_.saved.size(), 2U);
}

TEST_F(LeaseRegistryTest, AStoreThatHangsKeepsNoAnswerWaitingForLong) {
  std::promise<void> let_go;
  store_.before_saving = [held = let_go.get_future().share()] { held.wait(); };
  registry().put(lease("1", 0));
  const auto before = std::chrono::steady_clock::now();
  settle();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{8});
  let_go.set_value();
}

TEST_F(LeaseRegistryTest, WithoutAProcessALeaseProtectsForABoundedTime) {
  registry().put(lease("1", 0));
  clock_.advance(policy::kProtectsUnproven);
  EXPECT_TRUE(registry().now().oldest_job_start) << "nobody has looked yet";
  registry().note_processes({"1"}, clock_.now().boot);
  EXPECT_EQ(registry().protecting().size(), 1U) << "a process was seen";
  clock_.advance(policy::kProtectsUnproven);
  registry().note_processes({}, clock_.now().boot);
  EXPECT_FALSE(registry().now().oldest_job_start);
  EXPECT_THAT(registry().protecting(), IsEmpty());
  EXPECT_THAT(known(), ElementsAre("1")) << "it may still be renewed";
  registry().put(lease("held", ::getpid()));
  clock_.advance(policy::kProtectsUnproven);
  registry().note_processes({}, clock_.now().boot);
  EXPECT_EQ(registry().protecting().size(), 1U);
}

TEST_F(LeaseRegistryTest, StopsAtOnceAndKeepsItsLeases) {
  Child child;
  registry().put(lease("1", child.pid()));
  registry().start();
  registry().stop();
  loop_.restart();
  loop_.run_for(std::chrono::seconds{5});
  EXPECT_TRUE(loop_.stopped()) << "nothing waits any more";
  EXPECT_EQ(store_.saved.size(), 1U);
}

TEST(Processes, KnowsOwnerAndStart) {
  Child child;
  const auto facts = Processes{}.look(child.pid());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->uid, ::getuid());
  EXPECT_GE(facts->started, Processes{}.look(::getpid())->started);
  child.kill();
  EXPECT_EQ(Processes{}.look(child.pid()).error().code(), Errc::kNotFound);
  EXPECT_EQ(Processes("/nonexistent").look(::getpid()).error().code(), Errc::kNotFound);
}

}  // namespace
}  // namespace buildwarden::jobs
