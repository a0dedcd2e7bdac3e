#include "daemon/jobs/admission_controller.h"

#include "tests/unit/jobs/jobs_fixture.h"

namespace buildwarden::jobs {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class AdmissionTest : public JobsTest {};

TEST_F(AdmissionTest, TakesOnAJobAndSavesItBeforeItAnswers) {
  auto job = request("1");
  job.use = "s3";
  job.builders = {"arm"};
  job.pid = ::getpid();
  job.need_bytes = kGiB;
  const auto answer = start(job, peer(::getuid()));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->admitted);
  EXPECT_FALSE(answer->known_before);
  EXPECT_EQ(answer->rule, "enough");
  EXPECT_EQ(answer->grant.env.at("GRANTED"), "1");
  EXPECT_EQ(answer->disk.size(), 1U);
  EXPECT_FALSE(answer->expires_at) << "it lasts as long as its process";
  ASSERT_EQ(store_.saved.size(), 1U);
  const auto& lease = store_.saved[0];
  EXPECT_EQ(lease.pid_started, Processes{}.look(::getpid())->started);
  EXPECT_EQ(lease.free_at_start, 100 * kGiB);
  EXPECT_THAT(lease.builders, ElementsAre("arm", "s3"));
  EXPECT_EQ(registry().jobs_view().admitted, 1U);
  EXPECT_EQ(journal_.count("job.started"), 1U);
}

TEST_F(AdmissionTest, GivesATimeToAJobWithoutAProcess) {
  auto job = request("1");
  job.ttl = minutes{10};
  EXPECT_EQ(start(job, peer(2000))->expires_at, clock_.now().wall + minutes{10});
  EXPECT_EQ(start("2")->expires_at, clock_.now().wall + hours{6});
  clock_.advance(minutes{9});
  EXPECT_EQ(renew("1", peer(2000))->expires_at, clock_.now().wall + minutes{10});
  clock_.advance(minutes{10});
  registry().sweep();
  EXPECT_THAT(known(), ElementsAre("2"));
}

TEST_F(AdmissionTest, RunsAtLowAndWhereNothingIsKnown) {
  disk_.view.filesystems[0].pressure.level = policy::Level::kLow;
  disk_.view.filesystems[0].marks.critical = 5 * kGiB;
  disk_.view.filesystems[0].marks.low = 10 * kGiB;
  disk_.view.filesystems[0].marks.target = 20 * kGiB;
  disk_.set_free(6 * kGiB);
  EXPECT_TRUE(start("low")->admitted);
  disk_.set_free(0);
  disk_.view.filesystems[0].pressure.level = policy::Level::kUnknown;
  EXPECT_EQ(start("stale")->rule, "unknown");
  disk_.view.filesystems[0].pressure.level = policy::Level::kOk;
  disk_.view.filesystems[0].reading.reset();
  EXPECT_EQ(start("unread")->rule, "unknown");
  EXPECT_EQ(journal_.last("job.started").severity, ports::Severity::kWarning);
  EXPECT_THAT(disk_.requests, IsEmpty());
}

TEST_F(AdmissionTest, TellsAJobThatTheDiskIsLookedAtAtItsEnd) {
  EXPECT_FALSE(start("1")->grant.env.contains("BUILDWARDEN_CHECK_AT_END"));
  settings_.check_at_end = true;
  controller().reconfigure(settings_);
  EXPECT_EQ(start("1")->grant.env.at("BUILDWARDEN_CHECK_AT_END"), "true") << "renewed";
  EXPECT_EQ(start("2")->grant.env.at("BUILDWARDEN_CHECK_AT_END"), "true");
}

// What memory says may be seconds old: it is measured when a job asks.
TEST_F(AdmissionTest, JudgesByTheFiguresOfNow) {
  disk_.while_measuring = [this] { disk_.set_free(kGiB); };
  EXPECT_FALSE(start("1")->admitted);
  disk_.while_measuring = [this] { disk_.set_free(100 * kGiB); };
  EXPECT_TRUE(start("2")->admitted);
  EXPECT_EQ(store_.saved[0].free_at_start, 100 * kGiB);
}

TEST_F(AdmissionTest, LooksOnlyAtWhatGates) {
  auto other = disk_.view.filesystems[0];
  other.gate = false;
  other.reading->free = 0;
  disk_.view.filesystems.push_back(other);
  const auto answer = start("1");
  EXPECT_TRUE(answer->admitted);
  EXPECT_EQ(answer->disk.size(), 1U);
}

TEST_F(AdmissionTest, MakesRoomAndThenRuns) {
  disk_.set_free(3 * kGiB);
  disk_.while_making = [this] { disk_.set_free(20 * kGiB); };
  auto job = request("1");
  job.need_bytes = 10 * kGiB;
  const auto answer = start(job, peer(2000));
  EXPECT_TRUE(answer->admitted);
  ASSERT_EQ(disk_.requests.size(), 1U);
  EXPECT_EQ(disk_.requests[0].free, 10 * kGiB);
  EXPECT_EQ(disk_.requests[0].wait, minutes{2});
  EXPECT_EQ(disk_.requests[0].on_behalf_of, "job 1");
  EXPECT_TRUE(disk_.requests[0].on_request);
  EXPECT_THAT(progress_, ElementsAre(StartsWith("making room: "), "freeing"));
  EXPECT_EQ(store_.saved[0].free_at_start, 20 * kGiB);
}

TEST_F(AdmissionTest, RefusesWithTheBiggestUsersWhenAllWasDone) {
  disk_.set_free(3 * kGiB);
  disk_.view.filesystems[0].users = {{"images", "small", 1}, {"build_cache", "big", 9}, {"containers", "mid", 5}};
  const auto answer = start("1");
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->admitted);
  EXPECT_EQ(answer->rule, "not_enough");
  EXPECT_THAT(answer->reason, HasSubstr(format_bytes(3 * kGiB)));
  ASSERT_EQ(answer->users.size(), 3U);
  EXPECT_EQ(answer->users[0].name, "big");
  EXPECT_EQ(answer->users[2].name, "small");
  EXPECT_THAT(answer->grant.env, IsEmpty());
  EXPECT_THAT(handout_.held, IsEmpty());
  EXPECT_THAT(known(), IsEmpty());
  EXPECT_EQ(registry().jobs_view().refused, 1U);
  EXPECT_EQ(journal_.last("job.refused").rule, "not_enough");
  disk_.failure = Error(Errc::kUnavailable, "the engine is gone");
  EXPECT_THAT(start("2")->reason, HasSubstr("the engine is gone"));
}

TEST_F(AdmissionTest, NoJobStartsOnAnInstanceThatIsAboutToGo) {
  ASSERT_TRUE(start("before")->admitted);
  gate_.why = "this instance is about to be terminated";
  const auto answer = start("1");
  EXPECT_FALSE(answer->admitted);
  EXPECT_EQ(answer->rule, "terminating");
  EXPECT_EQ(answer->reason, gate_.why);
  EXPECT_THAT(disk_.requests, IsEmpty()) << "room is not made for it";
  EXPECT_TRUE(start("before")->known_before) << "one that runs goes on";
  gate_.why.clear();
  disk_.set_free(3 * kGiB);
  disk_.while_making = [this] {
    disk_.set_free(20 * kGiB);
    gate_.why = "it was decided meanwhile";
  };
  EXPECT_EQ(start("2")->rule, "terminating");
}

TEST_F(AdmissionTest, CountsWhatWasPromisedAndNotWrittenYet) {
  disk_.set_free(20 * kGiB);
  auto job = request("1");
  job.need_bytes = 10 * kGiB;
  ASSERT_TRUE(start(job, peer(2000))->admitted);
  job.id = "2";
  EXPECT_TRUE(start(job, peer(2000))->admitted) << "exactly both fit";
  job.id = "3";
  const auto refused = start(job, peer(2000));
  EXPECT_FALSE(refused->admitted);
  EXPECT_THAT(refused->reason, HasSubstr("+ 10.00 GiB reserved by job 1, 10.00 GiB reserved by job 2"));
  ASSERT_EQ(disk_.requests.size(), 1U);
  EXPECT_EQ(disk_.requests[0].free, 30 * kGiB);
  ASSERT_TRUE(end("1", peer(2000)));
  EXPECT_TRUE(start(job, peer(2000))->admitted) << "an ended job promises nothing";
}

// Both ask while room is made, and what was made is enough for one: the second one asks for more, or is refused.
TEST_F(AdmissionTest, TwoJobsAreNotPromisedTheSameBytes) {
  for (const bool more_can_go : {true, false}) {
    restart();
    store_.saved.clear();
    disk_.requests.clear();
    disk_.set_free(3 * kGiB);
    disk_.result.reached = true;
    Result<ports::JobAnswer> other = Error(Errc::kIo, "not asked");
    auto job = request("1");
    job.need_bytes = 10 * kGiB;
    disk_.while_making = [&] {
      disk_.while_making = [&] {
        if (disk_.requests.size() == 2) disk_.set_free(10 * kGiB);  // that of the other one
        if (disk_.requests.size() == 3 && more_can_go) disk_.set_free(20 * kGiB);
        disk_.result.reached = more_can_go || disk_.requests.size() < 3;
      };
      auto second = job;
      second.id = "2";
      boost::asio::io_context inner;
      other = testing::run_on(inner, controller().start_job(std::move(second), peer(2000), nullptr));
    };
    const auto first = start(job, peer(2000));
    ASSERT_TRUE(first);
    ASSERT_TRUE(other);
    EXPECT_TRUE(other->admitted);
    EXPECT_EQ(first->admitted, more_can_go) << first->reason;
    ASSERT_EQ(disk_.requests.size(), 3U);
    EXPECT_EQ(disk_.requests[2].free, 20 * kGiB) << "both";
    EXPECT_EQ(disk_.requests[2].on_behalf_of, "job 1");
  }
}

TEST_F(AdmissionTest, AsksForMoreRoomOnlyWhileThereIsTime) {
  disk_.set_free(3 * kGiB);
  disk_.result.reached = true;  // it was, and somebody wrote it full again
  disk_.while_making = [this] { clock_.advance(seconds{50}); };
  EXPECT_FALSE(start("1")->admitted);
  ASSERT_EQ(disk_.requests.size(), 3U);
  EXPECT_EQ(disk_.requests[2].wait, seconds{20}) << "of the two minutes";
}

TEST_F(AdmissionTest, ARefusalNamesWhatNobodyIsKnownToUse) {
  disk_.set_free(3 * kGiB);
  disk_.view.filesystems[0].reading->total = 100 * kGiB;
  disk_.view.filesystems[0].ballast.bytes = kGiB;
  disk_.view.filesystems[0].users = {{"images", "4 images", 50 * kGiB}, {"checkouts", "agent-1", 6 * kGiB}};
  const auto users = start("1")->users;
  ASSERT_EQ(users.size(), 3U);
  EXPECT_EQ(users[1].kind, "unattributed");
  EXPECT_EQ(users[1].bytes, 40 * kGiB);
}

TEST_F(AdmissionTest, RenewsAKnownIdForItsOwnerAndRoot) {
  auto job = request("1");
  job.builders = {"s3"};
  ASSERT_TRUE(start(job, peer(2000)));
  clock_.advance(hours{5});
  job.builders = {"arm"};
  const auto again = start(job, peer(2000));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->known_before && again->admitted);
  EXPECT_EQ(again->grant.env.at("GRANTED"), "1");
  EXPECT_EQ(again->expires_at, clock_.now().wall + hours{6});
  EXPECT_THAT(store_.saved.at(0).builders, ElementsAre("arm"));
  EXPECT_EQ(store_.saved.at(0).uid, 2000U);
  EXPECT_EQ(registry().jobs_view().admitted, 1U);
  EXPECT_EQ(start(job, peer(2001)).error().code(), Errc::kDenied);
  EXPECT_TRUE(start(job, peer(0)));
  EXPECT_EQ(store_.saved.at(0).uid, 2000U) << "root does not take it away";
  EXPECT_EQ(renew("1", peer(2001)).error().code(), Errc::kDenied);
  EXPECT_EQ(renew("none", peer(0)).error().code(), Errc::kNotFound);
}

TEST_F(AdmissionTest, AJobIsToldOfPlatformsThatDoNotRunAndStartsAllTheSame) {
  platforms_.trouble = "linux/arm64 does not run here: no handler";
  EXPECT_EQ(start("plain")->reason.find("arm64"), std::string::npos);
  EXPECT_TRUE(platforms_.asked.empty());
  auto job = request("foreign");
  job.platforms = {"linux/arm64"};
  const auto answer = start(job, peer(::getuid()));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->admitted);
  EXPECT_NE(answer->reason.find("linux/arm64 does not run here"), std::string::npos) << answer->reason;
  EXPECT_EQ(platforms_.asked, job.platforms);
}

TEST_F(AdmissionTest, TheRequestsWishForItsContextBeatsTheConfigurations) {
  settings_.reuse_context = true;
  handout_.note = "the context is not reused";
  auto job = request("1");
  const auto answer = start(job, peer(0));
  EXPECT_TRUE(handout_.prepared && handout_.last.reuse_context);
  EXPECT_THAT(answer->reason, ::testing::EndsWith("; the context is not reused"));
  EXPECT_THAT(start(job, peer(0))->reason, ::testing::EndsWith("is renewed; the context is not reused"));
  job.id = "2";
  job.reuse_context = false;
  ASSERT_TRUE(start(job, peer(0)));
  EXPECT_FALSE(handout_.prepared || handout_.last.reuse_context);
  settings_.reuse_context = false;
  controller().reconfigure(settings_);
  job.reuse_context = true;
  ASSERT_TRUE(start(job, peer(0)));
  EXPECT_TRUE(handout_.prepared && handout_.last.reuse_context);
}

TEST_F(AdmissionTest, TheRequestsWishForItsImagesBeatsTheConfigurations) {
  auto job = request("1");
  ASSERT_TRUE(start(job, peer(0)));
  EXPECT_FALSE(handout_.last.load);
  settings_.default_load = true;
  controller().reconfigure(settings_);
  ASSERT_TRUE(start(job, peer(0)));
  EXPECT_TRUE(handout_.last.load);
  job.load = false;
  ASSERT_TRUE(start(job, peer(0)));
  EXPECT_FALSE(handout_.last.load);
}

TEST_F(AdmissionTest, RenewsALeaseOntoANewProcess) {
  Child first;
  Child second;
  auto job = request("1");
  job.pid = first.pid();
  ASSERT_TRUE(start(job, peer(0)));
  job.pid = second.pid();
  ASSERT_TRUE(start(job, peer(0)));
  first.kill();
  loop_.restart();
  loop_.poll();
  registry().sweep();
  EXPECT_THAT(known(), ElementsAre("1"));
  second.kill();
  testing::run_until(loop_, [&] { return known().empty(); });
}

TEST_F(AdmissionTest, TakesAnIdAnewWhenItsProcessHasDied) {
  Child child;
  auto job = request("1");
  job.pid = child.pid();
  ASSERT_TRUE(start(job, peer(0)));
  child.kill();
  EXPECT_FALSE(start(request("1"), peer(2000))->known_before);
}

TEST_F(AdmissionTest, EndsForItsOwnerAndRootOnly) {
  ASSERT_TRUE(start(request("1"), peer(2000)));
  EXPECT_EQ(end("1", peer(2001)).error().code(), Errc::kDenied);
  EXPECT_EQ(end("1", ports::Peer{}).error().code(), Errc::kDenied);
  EXPECT_THAT(known(), ElementsAre("1"));
  EXPECT_TRUE(end("1", peer(2000)));
  EXPECT_THAT(handout_.held, IsEmpty());
  EXPECT_EQ(journal_.last("job.ended").rule, "ended");
  EXPECT_EQ(end("1", peer(2000)).error().code(), Errc::kNotFound);
  ASSERT_TRUE(start(request("2"), peer(2000)));
  EXPECT_TRUE(end("2", peer(0)));
}

TEST_F(AdmissionTest, GivesUpAJobThatEndedWhileRoomWasMade) {
  disk_.set_free(kGiB);
  disk_.while_making = [this] {
    disk_.set_free(20 * kGiB);
    EXPECT_EQ(end_meanwhile("1", peer(2001)).error().code(), Errc::kDenied);
    EXPECT_TRUE(end_meanwhile("1", peer(2000)));
  };
  EXPECT_EQ(start(request("1"), peer(2000)).error().code(), Errc::kCancelled);
  EXPECT_THAT(known(), IsEmpty());
  disk_.set_free(kGiB);
  Child child;
  disk_.while_making = [&] {
    disk_.set_free(20 * kGiB);
    child.kill();
  };
  auto job = request("2");
  job.pid = child.pid();
  EXPECT_EQ(start(job, peer(0)).error().code(), Errc::kCancelled);
  EXPECT_THAT(known(), IsEmpty());
  EXPECT_THAT(handout_.held, IsEmpty());
}

TEST_F(AdmissionTest, AdmitsAnIdOnceAtATime) {
  disk_.set_free(kGiB);
  Result<ports::JobAnswer> second = Error(Errc::kIo, "not asked");
  disk_.while_making = [&] {
    disk_.while_making = nullptr;
    disk_.set_free(20 * kGiB);
    boost::asio::io_context inner;
    second = testing::run_on(inner, controller().start_job(request("1"), peer(2000), nullptr));
  };
  EXPECT_TRUE(start(request("1"), peer(2000))->admitted);
  EXPECT_EQ(second.error().code(), Errc::kConflict);
}

TEST_F(AdmissionTest, KnowsWhoMayNameWhichProcess) {
  auto job = request("1");
  job.pid = ::getpid();
  if (::getuid() == 0) {
    EXPECT_EQ(start(job, peer(2000)).error().code(), Errc::kDenied) << "another user's process";
  }
  EXPECT_TRUE(start(job, peer(0)));
  Child child;
  job.pid = child.pid();
  child.end();
  job.id = "2";
  const auto gone = start(job, peer(0));
  EXPECT_EQ(gone.error().code(), Errc::kInvalid);
  EXPECT_THAT(gone.error().message(), StartsWith("pid: "));
  EXPECT_EQ(start(request("3"), ports::Peer{}).error().code(), Errc::kDenied) << "over TCP";
}

TEST_F(AdmissionTest, MakesNoRoomForARequestThatIsWrong) {
  disk_.set_free(0);
  auto job = request("1");
  job.builders = {"unknown"};
  EXPECT_EQ(start(job, peer(2000)).error().code(), Errc::kInvalid);
  EXPECT_THAT(disk_.requests, IsEmpty());
  EXPECT_THAT(handout_.held, IsEmpty());
}

}  // namespace
}  // namespace buildwarden::jobs
