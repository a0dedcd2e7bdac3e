#include "daemon/jobs/registry.h"

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

class RegistryTest : public JobsTest {
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
    return made;
  }
};

TEST_F(RegistryTest, EndsALeaseWhenItsProcessDies) {
  Child child;
  registry().put(lease("1", child.pid()));
  child.kill();
  testing::run_until(loop_, [&] { return known().empty(); });
  EXPECT_EQ(journal_.last("job.ended").rule, "pid_ended");
  EXPECT_THAT(store_.saved, IsEmpty());
}

TEST_F(RegistryTest, SweepsProcessesThatNoPidfdTellsOf) {
  Child child;
  registry().put(lease("1", child.pid()));
  registry().sweep();
  EXPECT_THAT(known(), ElementsAre("1"));
  child.kill();
  registry().sweep();
  EXPECT_THAT(known(), IsEmpty()) << "also one that is not reaped yet";
}

TEST_F(RegistryTest, IsNotFooledByAnotherProcessOfTheSameNumber) {
  auto other = lease("1", ::getpid());
  ++other.pid_started;
  registry().put(other);
  registry().sweep();
  EXPECT_THAT(known(), IsEmpty());
}

TEST_F(RegistryTest, LetsTimeEndOnlyThoseWithoutAProcess) {
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

TEST_F(RegistryTest, TakesOverWhatStillRuns) {
  Child child;
  auto gone = lease("gone", child.pid());
  child.end();
  store_.saved = {gone, lease("runs", ::getpid()), lease("timed", 0)};
  store_.saved[1].builders = {"arm"};
  store_.saved[2].builders = {"removed from the configuration"};
  EXPECT_THAT(known(), UnorderedElementsAre("runs", "timed"));
  EXPECT_EQ(store_.saved.size(), 2U);
  EXPECT_THAT(handout_.held, UnorderedElementsAre("runs"));
  EXPECT_THAT(handout_.last.builders, ElementsAre("arm"));
}

TEST_F(RegistryTest, WatchesWhatItTookOver) {
  Child child;
  store_.saved = {lease("1", child.pid())};
  EXPECT_THAT(known(), ElementsAre("1"));
  child.kill();
  testing::run_until(loop_, [&] { return known().empty(); });
}

// Asio recycles what it keeps of a descriptor: news of the second process, not yet handed on, reaches the third lease.
TEST_F(RegistryTest, IsNotMisledByNewsThatWereMeantForAnotherProcess) {
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

TEST_F(RegistryTest, ProtectsWhatTheOldestJobMayUse) {
  EXPECT_FALSE(registry().now().oldest_job_start);
  const auto first = clock_.now().wall;
  registry().put(lease("1", 0));
  clock_.advance(minutes{5});
  registry().put(lease("0", 0));
  EXPECT_EQ(registry().now().oldest_job_start, first);
}

TEST_F(RegistryTest, KeepsALeaseThatCannotBeSavedAndSaysSo) {
  store_.full = true;
  registry().put(lease("1", 0));
  EXPECT_THAT(known(), ElementsAre("1"));
  EXPECT_THAT(journal_.last("job.lease_not_saved").reason, HasSubstr("no space"));
}

TEST_F(RegistryTest, StopsAtOnceAndKeepsItsLeases) {
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
