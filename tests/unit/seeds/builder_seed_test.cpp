// When one builder's seed is restored and saved.
#include "daemon/seeds/builder_seed.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/seeds/builder_seed_fixture.h"

namespace buildwarden::seeds {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(OneSeed, IsRestoredBeforeTheFirstStart) {
  BuilderSeed seed("s3", parts());
  EXPECT_THAT(seed.awaited(), HasSubstr("being looked at"));
  turn(seed);
  EXPECT_EQ(seed.awaited(), "") << seed.view().reason;
  EXPECT_THAT(tasks(), ElementsAre(Task::kLook, Task::kRestore));
  EXPECT_THAT(woken_, ElementsAre("s3"));
  EXPECT_THAT(around_.made, ElementsAre("buildwarden_s3"));
  EXPECT_EQ(journal_.last("seed.restored").rule, "restored");
  EXPECT_EQ(seed.view().restored_from, format_rfc3339(manifest_.created_at));
}

TEST_F(OneSeed, ThatDoesNotFitOrCannotBeHadLeavesAColdStart) {
  struct Case {
    const char* rule;
    std::function<void()> break_it;
    std::vector<Task> tasks;
  };
  const std::vector<Case> cases = {
      {"unfit", [&] { manifest_.architecture = "vax"; }, {Task::kLook}},
      {"unfit", [&] { manifest_.buildkit = "v3.0.0"; }, {Task::kLook}},
      {"no_room", [&] { around_.disk.reading->free = kGiB; }, {Task::kLook}},
      {"no_room", [&] { around_.disk.reading->free_inodes = 1'000'006; }, {Task::kLook}},
      {"denied", [&] { failures_.emplace(Task::kLook, Error(Errc::kDenied, "403")); }, {Task::kLook}},
      {"damaged",
       [&] { failures_.emplace(Task::kRestore, Error(Errc::kProtocol, "checksum")); },
       {Task::kLook, Task::kRestore, Task::kClean}},
      {"timeout",
       [&] { failures_.emplace(Task::kRestore, Error(Errc::kTimeout, "late")); },
       {Task::kLook, Task::kRestore, Task::kClean}},
  };
  const auto good = manifest_;
  for (const auto& one : cases) {
    manifest_ = good;
    around_.disk.reading->free = 10 * kGiB;
    around_.disk.reading->free_inodes = 2'000'000;
    failures_.clear();
    tasks_.clear();
    one.break_it();
    BuilderSeed seed("s3", parts());
    turn(seed);
    EXPECT_EQ(seed.awaited(), "") << one.rule;
    EXPECT_EQ(journal_.last("seed.refused").rule, one.rule) << journal_.last("seed.refused").reason;
    EXPECT_EQ(tasks(), one.tasks) << one.rule;
  }
}

// The name is free for anybody: a container that only happens to have it is not removed.
TEST_F(OneSeed, AForeignContainerWithTheNameOfItsOwnStays) {
  struct Case {
    bool ours;
    const char* spec;
    bool stays;
  };
  const std::vector<Case> cases = {{false, "", true},
                                   {false, "seed-version", true},
                                   {true, "0123456789abcdef", true},
                                   {true, "seed-version", false}};
  for (const auto& one : cases) {
    engine_.calls.clear();
    auto& other = engine_.containers["buildwarden_seed_s3"];
    other.seen.state = policy::ContainerState::kExited;
    other.seen.id = "other";
    other.seen.ours = one.ours;
    other.seen.spec_digest = one.spec;
    BuilderSeed seed("s3", parts());
    turn(seed);
    EXPECT_EQ(seed.awaited(), "");
    EXPECT_EQ(engine_.containers.contains("buildwarden_seed_s3"), one.stays) << one.spec;
    if (!one.stays) continue;
    EXPECT_THAT(engine_.calls, IsEmpty());
    EXPECT_EQ(journal_.last("seed.refused").rule, "unfit");
    EXPECT_THAT(journal_.last("seed.refused").reason, HasSubstr("buildwarden_seed_s3 is not of a seed, and stays"));
  }
  EXPECT_EQ(journal_.count("seed.restored"), 1U);
}

TEST_F(OneSeed, WithoutOneIsNoWarning) {
  failures_.emplace(Task::kLook, Error(Errc::kNotFound, "404"));
  BuilderSeed seed("s3", parts());
  turn(seed);
  EXPECT_EQ(seed.awaited(), "");
  EXPECT_EQ(journal_.last("seed.none").severity, ports::Severity::kInfo);
}

TEST_F(OneSeed, OfABuilderThatWasThereBeforeIsNotAskedFor) {
  add_container();
  BuilderSeed seed("s3", parts());
  turn(seed);
  EXPECT_EQ(seed.awaited(), "");
  EXPECT_THAT(tasks(), IsEmpty());
  engine_.containers.clear();
  std::ofstream(volume() + "/_data/db") << "x";
  BuilderSeed other("s3", parts());
  turn(other);
  EXPECT_THAT(tasks(), IsEmpty());
  EXPECT_EQ(other.awaited(), "");
}

TEST_F(OneSeed, IsNotWaitedForWhereSeedsAreOff) {
  settings_.seeds.location.clear();
  BuilderSeed seed("s3", parts());
  EXPECT_EQ(seed.awaited(), "");
  turn(seed);
  EXPECT_THAT(tasks(), IsEmpty());
}

class SavedSeed : public OneSeed {
 protected:
  ports::Async<ports::SeedDone> ask(BuilderSeed& seed) {
    ports::SeedRequest request;
    request.builder = "s3";
    return seed.save(std::move(request), [](const std::string&) {});
  }
};

TEST_F(SavedSeed, IsReadWhileTheBuilderIsPausedAndPublishedAfterwards) {
  add_container();
  BuilderSeed seed("s3", parts());
  turn(seed);
  const auto saved = testing::run_on(loop_, ask(seed));
  ASSERT_TRUE(saved) << saved.error().message();
  EXPECT_THAT(tasks(), ElementsAre(Task::kSave, Task::kPublish));
  EXPECT_THAT(engine_.calls, ElementsAre("pause buildwarden_s3", "unpause buildwarden_s3"));
  EXPECT_FALSE(seed.holds());
  EXPECT_EQ(journal_.last("seed.saved").rule, "asked");
}

TEST_F(SavedSeed, IsGivenUpForAJob) {
  add_container();
  hold_ = true;
  BuilderSeed seed("s3", parts());
  turn(seed);
  std::optional<Result<ports::SeedDone>> saved;
  const testing::Background saving(loop_, testing::detail::keep(ask(seed), &saved));
  testing::run_until(loop_, [&] { return !tasks().empty(); });
  EXPECT_TRUE(seed.holds());
  EXPECT_TRUE(seed.give_up());
  testing::run_until(loop_, [&] { return saving.ended(); });
  ASSERT_TRUE(saved && !*saved);
  EXPECT_EQ(saved->error().code(), Errc::kConflict);
  EXPECT_THAT(engine_.calls, ElementsAre("pause buildwarden_s3", "unpause buildwarden_s3"));
  EXPECT_THAT(tasks(), ElementsAre(Task::kSave, Task::kDiscard)) << "never published";
  EXPECT_EQ(journal_.count("seed.given_up"), 1U);
}

// A builder must not stay paused until a thread is free.
TEST_F(SavedSeed, NeedsNoneOfTheWorkersThatOthersUse) {
  add_container();
  BuilderSeed seed("s3", parts());
  turn(seed);
  const auto busy = std::make_shared<std::atomic<bool>>(true);  // outlives this test, on the workers
  for (int thread = 0; thread < 2; ++thread) {
    workers_.post([busy] {
      while (*busy) std::this_thread::yield();
    });
  }
  const auto saved = testing::run_on(loop_, ask(seed));
  *busy = false;
  EXPECT_TRUE(saved) << saved.error().message();
}

TEST_F(SavedSeed, ThatFailsUnpausesTheBuilder) {
  add_container();
  failures_.emplace(Task::kSave, Error(Errc::kIo, "no space left on device"));
  BuilderSeed seed("s3", parts());
  turn(seed);
  const auto saved = testing::run_on(loop_, ask(seed));
  ASSERT_FALSE(saved);
  EXPECT_THAT(engine_.calls, ElementsAre("pause buildwarden_s3", "unpause buildwarden_s3"));
  EXPECT_FALSE(seed.holds());
  EXPECT_THAT(tasks(), ElementsAre(Task::kSave, Task::kDiscard));
  EXPECT_THAT(journal_.last("seed.not_saved").reason, HasSubstr("no space left on device"));
}

// Two orders of one builder would share what stops them, and one of them would read a builder that runs again.
TEST_F(SavedSeed, IsOneAtATime) {
  add_container();
  BuilderSeed seed("s3", parts());
  turn(seed);
  const auto expect_refused = [&](const std::string& why) {
    ports::SeedRequest plan;
    plan.builder = "s3";
    plan.dry_run = true;
    const auto restored = [&] { return seed.restore(plan, [](const std::string&) {}); };
    const auto measured = [&] { return seed.save(plan, [](const std::string&) {}); };
    for (const auto& second :
         {testing::run_on(loop_, ask(seed)), testing::run_on(loop_, restored()), testing::run_on(loop_, measured())}) {
      ASSERT_FALSE(second);
      EXPECT_EQ(second.error().code(), Errc::kConflict);
      EXPECT_EQ(second.error().message(), why);
    }
  };
  hold_ = true;
  std::optional<Result<ports::SeedDone>> saved;
  const testing::Background saving(loop_, testing::detail::keep(ask(seed), &saved));
  testing::run_until(loop_, [&] { return !tasks().empty(); });
  expect_refused("a save of s3 is under way");
  hold_ = false;
  testing::run_until(loop_, [&] { return saving.ended(); });
  EXPECT_TRUE(saved && *saved);

  hold_look_ = true;
  turn(seed);
  clock_.advance(std::chrono::hours{7});
  std::optional<Duration> pause;
  const testing::Background looking(loop_, testing::detail::keep(seed.turn(), &pause));
  testing::run_until(loop_, [&] { return tasks().size() == 3; });
  expect_refused("the seed of s3 is being looked at");
  hold_look_ = false;
  testing::run_until(loop_, [&] { return looking.ended(); });
}

// The engine refuses a pause with the same code: that is no job, and it is not tried again at once.
TEST_F(SavedSeed, IsGivenUpForAJobAlone) {
  add_container();
  engine_.fail.emplace("pause buildwarden_s3", Error(Errc::kConflict, "cannot pause"));
  BuilderSeed seed("s3", parts());
  turn(seed);
  turn(seed);
  clock_.advance(std::chrono::hours{7});
  turn(seed);
  EXPECT_EQ(journal_.count("seed.given_up"), 0U);
  EXPECT_EQ(journal_.count("seed.not_saved"), 1U);
  const auto asked = tasks().size();
  clock_.advance(std::chrono::minutes{1});
  turn(seed);
  EXPECT_EQ(tasks().size(), asked);
}

TEST_F(SavedSeed, IsNotMadeWithTheHistory) {
  add_container();
  forgotten_ = Error(Errc::kIo, "no such command");
  BuilderSeed seed("s3", parts());
  turn(seed);
  ASSERT_FALSE(testing::run_on(loop_, ask(seed)));
  EXPECT_THAT(tasks(), IsEmpty());
  EXPECT_THAT(engine_.calls, IsEmpty());
}

TEST_F(SavedSeed, IsMadeOfAnIdleBuilderWhenTheLastOneIsOld) {
  add_container();
  BuilderSeed seed("s3", parts());
  turn(seed);
  turn(seed);
  EXPECT_THAT(tasks(), IsEmpty()) << "not idle for long yet";
  clock_.advance(std::chrono::minutes{3});
  turn(seed);
  EXPECT_THAT(tasks(), ElementsAre(Task::kLook)) << "the one that is there is young";
  clock_.advance(std::chrono::hours{6});
  turn(seed);
  EXPECT_THAT(tasks(), ElementsAre(Task::kLook, Task::kLook, Task::kSave, Task::kPublish)) << seed.view().reason;
  around_.s3.leases = {"a job"};
  clock_.advance(std::chrono::hours{7});
  turn(seed);
  EXPECT_EQ(tasks().size(), 4U);
}

policy::ImageRecord pulled_image(const std::string& name, char digit) {
  policy::ImageRecord image;
  image.id = "sha256:" + name;
  image.tags = {name + ":1"};
  image.digests = {name + "@sha256:" + std::string(64, digit)};
  image.size = kGiB;
  return image;
}

TEST_F(SavedSeed, ListsTheImagesThatAreWorthMost) {
  add_container();
  settings_.seeds.images = 2;
  engine_.listed = {pulled_image("seldom", 'a'), pulled_image("often", 'b'), pulled_image("now-and-then", 'c'),
                    pulled_image("builders", 'd'), pulled_image("built-here", 'e')};
  engine_.listed[3].tags = {settings_.builders[0].image};
  engine_.listed[4].digests.clear();
  const auto now = clock_.now().wall;
  for (const auto& [name, uses] :
       {std::pair("seldom", 1), {"often", 90}, {"now-and-then", 9}, {"builders", 99}, {"built-here", 99}}) {
    auto& use = worth_.images[std::string("sha256:") + name].use;
    use.first_seen = now - std::chrono::hours{100};
    use.last_use = now;
    use.uses = static_cast<std::uint64_t>(uses);
  }
  BuilderSeed seed("s3", parts());
  turn(seed);
  const auto saved = testing::run_on(loop_, ask(seed));
  ASSERT_TRUE(saved) << saved.error().message();
  EXPECT_THAT(published_.images,
              ElementsAre("often@sha256:" + std::string(64, 'b'), "now-and-then@sha256:" + std::string(64, 'c')));
}

TEST_F(OneSeed, HasItsImagesFetchedWhereTheyAreWanted) {
  manifest_.images = {"node@sha256:" + std::string(64, 'a')};
  BuilderSeed unwanted("s3", parts());
  turn(unwanted);
  EXPECT_THAT(fetched_, IsEmpty());
  settings_.seeds.images = 5;
  BuilderSeed seed("s3", parts());
  turn(seed);
  EXPECT_EQ(fetched_, manifest_.images);
}

// A builder that goes on working keeps all that it has.
TEST_F(SavedSeed, LeavesOutWhatIsWorthLeastOnlyWhileTheInstanceEnds) {
  add_container();
  around_.s3.cache_bytes = 2 * kGiB;
  BuilderSeed seed("s3", parts());
  turn(seed);
  const auto refused = testing::run_on(loop_, ask(seed));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("larger than seeds.max_size"));
  EXPECT_FALSE(brought_down_to_);
  draining_ = true;
  const auto saved = testing::run_on(loop_, ask(seed));
  ASSERT_TRUE(saved) << saved.error().message();
  EXPECT_EQ(brought_down_to_, kGiB / 10 * 9);
  EXPECT_THAT(saved->reason, HasSubstr("7 records were left out"));
  EXPECT_THAT(journal_.last("seed.saved").reason, HasSubstr("7 records were left out"));
}

}  // namespace
}  // namespace buildwarden::seeds
