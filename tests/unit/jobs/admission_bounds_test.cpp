// What one job may ask for, and what one user's jobs may hold together.
#include <numeric>

#include "daemon/jobs/admission_controller.h"
#include "daemon/policy/leases.h"
#include "tests/unit/jobs/jobs_fixture.h"

namespace buildwarden::jobs {
namespace {

using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AdmissionBoundsTest : public JobsTest {};

TEST_F(AdmissionBoundsTest, EachUserHasAShareOfTheJobsAndRootAPart) {
  std::size_t made = 0;
  const auto fill = [&](uid_t uid, std::size_t most) {
    for (std::size_t i = 0; i < most; ++i) {
      const auto answer = start(request(std::to_string(made)), peer(uid));
      if (!answer) return answer.error().code();
      ++made;
    }
    return Errc::kIo;
  };
  EXPECT_EQ(fill(2000, 300), Errc::kUnavailable);
  EXPECT_EQ(made, policy::kLeasesOfUser);
  EXPECT_TRUE(start(request("0"), peer(2000))) << "renewing is no more";
  EXPECT_EQ(fill(2001, 300), Errc::kUnavailable);
  EXPECT_EQ(made, policy::kMostLeases - policy::kLeasesForRoot);
  EXPECT_EQ(fill(0, 300), Errc::kUnavailable);
  EXPECT_EQ(made, policy::kMostLeases);
}

TEST_F(AdmissionBoundsTest, AKnownIdWithOtherContentChangesNothing) {
  auto job = request("1");
  job.agent = "agent-1";
  job.pipeline = "web";
  job.checkout_path = "/builds/web";
  job.need_bytes = kGiB;
  ASSERT_TRUE(start(job, peer(2000)));
  const auto before = registry().leases().at(0);
  clock_.advance(std::chrono::minutes{1});
  const auto differs = [&](auto change) {
    auto other = job;
    change(other);
    const auto answer = start(other, peer(2000));
    EXPECT_TRUE(answer && !answer->admitted && answer->rule == "differs");
    return answer ? answer->differs : std::vector<std::string>{};
  };
  EXPECT_THAT(differs([](ports::JobRequest& other) { other.agent = "agent-2"; }), ElementsAre("agent"));
  EXPECT_THAT(differs([](ports::JobRequest& other) { other.pipeline = "app"; }), ElementsAre("pipeline"));
  EXPECT_THAT(differs([](ports::JobRequest& other) { other.checkout_path = "/x"; }), ElementsAre("checkout_path"));
  EXPECT_THAT(differs([](ports::JobRequest& other) {
                other.need_bytes = 2 * kGiB;
                other.pipeline = "app";
                other.ttl = std::chrono::minutes{1};
              }),
              ElementsAre("pipeline", "need_bytes"));
  const auto after = registry().leases().at(0);
  EXPECT_EQ(after.expires, before.expires) << "it was not renewed either";
  EXPECT_EQ(registry().jobs_view().refused, 0U);
  auto least = request("1");
  least.need_bytes = 0;
  EXPECT_TRUE(start(least, peer(2000))->admitted) << "what is left out is as it was";
  EXPECT_TRUE(start(job, peer(2000))->admitted);
}

TEST_F(AdmissionBoundsTest, TheTimeToAVerdictIsCountedAndThatOfARenewalIsNot) {
  ASSERT_TRUE(start(request("1"), peer(2000)));
  ASSERT_TRUE(start(request("1"), peer(2000)));
  const auto view = registry().jobs_view();
  EXPECT_EQ(std::accumulate(view.waits_of_admitted.buckets.begin(), view.waits_of_admitted.buckets.end(), 0U), 1U);
  EXPECT_EQ(std::accumulate(view.waits_of_refused.buckets.begin(), view.waits_of_refused.buckets.end(), 0U), 0U);
}

// Issue 14: leases without a process filled the list for as long as they liked.
TEST_F(AdmissionBoundsTest, ALeaseWhoseJobNobodyKnowsOfAnyMoreGivesItsPlaceAway) {
  for (std::size_t i = 0; i < policy::kLeasesOfUser; ++i) {
    ASSERT_TRUE(start(request(std::to_string(i)), peer(2000)));
    clock_.advance(seconds{1});
  }
  clock_.advance(policy::kProtectsUnproven);
  EXPECT_EQ(start(request("new"), peer(2000)).error().code(), Errc::kUnavailable) << "nobody has looked yet";
  registry().note_processes({"0"}, clock_.now().boot);
  EXPECT_TRUE(start(request("new"), peer(2000)));
  EXPECT_THAT(known(), Contains("0")) << "a process of it was seen";
  EXPECT_THAT(known(), ::testing::Not(Contains("1")));
  EXPECT_EQ(journal_.last("job.ended").rule, "displaced");
}

TEST_F(AdmissionBoundsTest, ALeaseLastsAtMostAsLongAsTheConfigurationSays) {
  auto job = request("1");
  job.ttl = settings_.ttl + seconds{1};
  const auto refused = start(job, peer(0));
  EXPECT_EQ(refused.error().code(), Errc::kInvalid);
  EXPECT_EQ(refused.error().message(), "ttl_seconds: 21601 is not from 1 to 21600, which is jobs.ttl (6h)");
  job.ttl = settings_.ttl;
  EXPECT_TRUE(start(job, peer(2000)));
  settings_.ttl = std::chrono::hours{1};
  controller().reconfigure(settings_);
  EXPECT_EQ(renew("1", peer(2000))->expires_at, clock_.now().wall + std::chrono::hours{1})
      << "from the next renewal on";
}

// Issue 14: a typo flushed everybody's cache.
TEST_F(AdmissionBoundsTest, DeletesNothingForWhatCanNeverFit) {
  disk_.view.filesystems[0].reading->total = 200 * kGiB;
  auto job = request("1");
  job.need_bytes = 1024 * kGiB;
  const auto answer = start(job, peer(2000));
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->admitted || answer->hits_all);
  EXPECT_EQ(answer->rule, "never_fits");
  EXPECT_THAT(disk_.requests, IsEmpty());
  EXPECT_THAT(disk_.estimated, IsEmpty());
}

TEST_F(AdmissionBoundsTest, DeletesNothingForWhatAllThatMayGoWouldNotReach) {
  auto job = request("1");
  job.need_bytes = 150 * kGiB;
  disk_.plan.reached = false;
  disk_.plan.free_after = 120 * kGiB;
  const auto refused = start(job, peer(2000));
  EXPECT_EQ(refused->rule, "out_of_reach");
  EXPECT_FALSE(refused->hits_all);
  EXPECT_THAT(disk_.requests, IsEmpty());
  ASSERT_EQ(disk_.estimated.size(), 1U);
  EXPECT_TRUE(disk_.estimated[0].dry_run);
  EXPECT_EQ(disk_.estimated[0].free, 150 * kGiB);
  // Of something that may go nobody knows the size: then it is tried.
  disk_.plan.steps.emplace_back().is_unsized = true;
  EXPECT_FALSE(start(job, peer(2000))->admitted);
  EXPECT_EQ(disk_.requests.size(), 1U);
  disk_.plan.steps.clear();
  disk_.plan.hindered = true;
  EXPECT_FALSE(start(job, peer(2000))->admitted);
  EXPECT_EQ(disk_.requests.size(), 2U) << "the engine did not answer";
}

// The hook of a stack has a way to delete images where the daemon has none.
TEST_F(AdmissionBoundsTest, ARefusalSaysWhyNoImageCouldGo) {
  disk_.set_free(3 * kGiB);
  EXPECT_EQ(start("1")->images_failed, "");
  disk_.result.images_failed = "the engine cannot be reached";
  EXPECT_EQ(start("2")->images_failed, "the engine cannot be reached");
  disk_.failure = Error(Errc::kUnavailable, "nobody made room");
  EXPECT_EQ(start("3")->images_failed, "nobody made room");
  disk_.failure.reset();
  disk_.while_making = [this] { gate_.why = "this instance is about to be terminated"; };
  EXPECT_EQ(start("4")->images_failed, "") << "it is refused for another reason";
}

TEST_F(AdmissionBoundsTest, OnlyRootHasMoreThanReclaimToMadeFree) {
  disk_.view.filesystems[0].marks.target = 40 * kGiB;
  disk_.set_free(30 * kGiB);
  auto job = request("1");
  job.need_bytes = 50 * kGiB;
  EXPECT_EQ(start(job, peer(2000))->rule, "above_reclaim_to");
  EXPECT_THAT(disk_.requests, IsEmpty());
  disk_.while_making = [this] { disk_.set_free(60 * kGiB); };
  EXPECT_TRUE(start(job, peer(0))->admitted);
}

TEST_F(AdmissionBoundsTest, OneUserIsPromisedItsShareAndToldSo) {
  disk_.view.filesystems[0].reading->total = 105 * kGiB;
  auto job = request("1");
  job.need_bytes = 90 * kGiB;
  EXPECT_THAT(start(job, peer(2000))->reason, HasSubstr("; 75.00 GiB of it are reserved"));
}

TEST_F(AdmissionBoundsTest, AReservationThatFitsExactlyRefusesNoOtherJobThatAsksForNothing) {
  disk_.set_free(30 * kGiB);
  auto job = request("greedy");
  job.need_bytes = 30 * kGiB;
  const auto answer = start(job, peer(2000));
  ASSERT_TRUE(answer->admitted);
  EXPECT_TRUE(start("other")->admitted);
  EXPECT_EQ(registry().jobs_view().leases.at(0).reserved_bytes, 30 * kGiB);
  job.id = "second";
  job.need_bytes = 10 * kGiB;
  EXPECT_THAT(start(job, peer(2001))->reason, HasSubstr("+ 30.00 GiB reserved by job greedy"));
  clock_.advance(policy::kReservedIdle);
  EXPECT_TRUE(start(job, peer(2001))->admitted) << "nothing was written";
}

}  // namespace
}  // namespace buildwarden::jobs
