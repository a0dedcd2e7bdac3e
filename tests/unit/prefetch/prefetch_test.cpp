#include "daemon/prefetch/prefetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_containers.h"
#include "tests/support/fake_disk.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::prefetch {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::run_on;

class FakeBuilders final : public ports::BuilderViews, public ports::BuilderImages {
 public:
  ports::BuildersView view;
  std::vector<std::string> fetched;
  std::optional<Error> failure;
  [[nodiscard]] ports::BuildersView builders_view() const override { return view; }
  ports::Async<void> fetch(std::string builder, std::string reference) override {
    fetched.push_back(reference + "@" + builder);
    if (failure) co_return *failure;
    co_return Result<void>{};
  }
};

class PrefetchTest : public ::testing::Test {
 protected:
  PrefetchTest() {
    settings_.prefetch.images = {"a:1", "b:1"};
    disk_.view.filesystems.front().roles = {"data_root"};
    disk_.view.filesystems.front().keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    disk_.view.filesystems.front().marks.low = 10 * kGiB;
    ports::BuilderView builder;
    builder.name = "s3";
    builder.state = policy::BuilderState::kWarm;
    builders_.view.builders = {builder};
  }
  Duration turn() { return run_on(loop_, prefetch_.turn()); }
  void turns(int number) {
    for (int at = 0; at < number; ++at) turn();
  }
  std::string state(std::size_t at) const {
    return std::string(policy::to_string(prefetch_.prefetch_view().items.at(at).state));
  }

  boost::asio::io_context loop_;
  testing::FakeClock clock_;
  testing::FakeContainers engine_;
  testing::FakeDisk disk_;
  testing::FakeJournal journal_;
  FakeBuilders builders_;
  Settings settings_;
  Prefetch prefetch_{{settings_, engine_, engine_, engine_, builders_, builders_, disk_, journal_, clock_,
                      [](Duration) { return Duration{0}; }}};
};

TEST_F(PrefetchTest, EachImageForEachPlaceOnce) {
  engine_.images["a:1"] = "sha256:there";
  turns(10);
  EXPECT_THAT(engine_.calls, ElementsAre("pull b:1")) << "what is there is not pulled again";
  EXPECT_THAT(builders_.fetched, ElementsAre("a:1@s3", "b:1@s3"));
  EXPECT_EQ(journal_.count("prefetch.done"), 4U);
  EXPECT_EQ(prefetch_.prefetch_view().rule, "all_done");
  EXPECT_EQ(journal_.events.front().rule, "present");
  EXPECT_EQ(journal_.events.back().rule, "pulled");
  EXPECT_EQ(journal_.events.front().reason, "a:1 is there for the engine");
  EXPECT_EQ(journal_.events.back().reason, "b:1 was fetched for builder s3");
}

TEST_F(PrefetchTest, OneATurnAndTheDiskIsAskedBeforeEach) {
  turn();
  EXPECT_THAT(engine_.calls, ElementsAre("pull a:1"));
  disk_.set_free(9 * kGiB);
  disk_.view.filesystems.front().pressure.reason = "9.00 GiB of 100.00 GiB are free";
  EXPECT_EQ(turn(), seconds{5});
  turn();
  EXPECT_THAT(engine_.calls, ElementsAre("pull a:1"));
  EXPECT_EQ(journal_.count("prefetch.waiting"), 1U) << "said once";
  EXPECT_THAT(journal_.last("prefetch.waiting").reason,
              HasSubstr("/data is ok: 9.00 GiB of 100.00 GiB are free; nothing is fetched"));
  disk_.set_free(50 * kGiB);
  disk_.view.filesystems.front().error = "a reading failed";
  turn();
  EXPECT_THAT(engine_.calls, ElementsAre("pull a:1")) << "an old reading is none";
  disk_.view.filesystems.front().error.clear();
  turn();
  EXPECT_THAT(engine_.calls, ElementsAre("pull a:1", "pull b:1"));
  disk_.set_free(9 * kGiB);
  turn();
  EXPECT_EQ(journal_.count("prefetch.waiting"), 2U);
}

TEST_F(PrefetchTest, AFailureIsToldAndTriedAgain) {
  engine_.fail.emplace("pull a:1", Error(Errc::kIo, "no such host"));
  turns(4);
  EXPECT_EQ(state(0), "failed");
  EXPECT_EQ(journal_.last("prefetch.failed").reason,
            "a:1 could not be fetched for the engine (1 times in a row), the next try is 5s away: no such host");
  EXPECT_EQ(builders_.fetched.size(), 2U) << "the others do not wait for it";
  turn();
  EXPECT_EQ(engine_.calls.size(), 2U);
  for (int more = 0; more < 99; ++more) {
    clock_.advance(std::chrono::minutes{5});
    turn();
  }
  EXPECT_EQ(engine_.calls.size(), 101U);
  EXPECT_EQ(journal_.count("prefetch.failed"), 7U) << "the 1st, 2nd, 4th, … 64th";
  clock_.advance(std::chrono::minutes{5});
  engine_.fail.clear();
  turn();
  EXPECT_EQ(state(0), "done");
}

TEST_F(PrefetchTest, TheOneThatIsPulledIsKnownUntilItsEventMustHaveCome) {
  EXPECT_EQ(prefetch_.pulling(), "");
  turn();
  EXPECT_EQ(prefetch_.pulling(), "a:1");
  clock_.advance(seconds{3});
  EXPECT_EQ(prefetch_.pulling(), "");
}

TEST_F(PrefetchTest, ADryRunOnlySaysWhatItWouldFetch) {
  settings_.dry_run = true;
  turns(3);
  EXPECT_THAT(engine_.calls, ElementsAre());
  EXPECT_EQ(journal_.count("prefetch.would"), 1U);
  EXPECT_THAT(journal_.last("prefetch.would").reason, HasSubstr("a:1, b:1"));
}

TEST_F(PrefetchTest, AnotherEngineHasNoneOfThem) {
  turns(4);
  EXPECT_EQ(engine_.calls.size(), 2U);
  engine_.images.clear();
  engine_.engine.identity.id = "engine-2";
  turns(4);
  EXPECT_EQ(engine_.calls.size(), 4U);
}

TEST_F(PrefetchTest, ImagesThatWereTakenOutMeanwhileAreForgotten) {
  turn();
  settings_.prefetch.images = {"c:1"};
  turn();
  EXPECT_THAT(engine_.calls, ElementsAre("pull a:1", "pull c:1"));
  EXPECT_EQ(prefetch_.prefetch_view().items.size(), 2U);
}

TEST_F(PrefetchTest, StopsAtOnce) {
  testing::Background running(loop_, prefetch_.run());
  testing::run_until(loop_, [this] { return builders_.fetched.size() == 2; });
  prefetch_.stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
}

TEST_F(PrefetchTest, ImagesOfSeedsUpToTheNumberThatIsWanted) {
  settings_.prefetch.images.clear();
  settings_.seeds.images = 2;
  prefetch_.fetch_for_seed({"one", "two"});
  prefetch_.fetch_for_seed({"two", "three"});
  builders_.view.builders.front().running_builds = 1;
  turn();
  EXPECT_THAT(engine_.calls, ::testing::IsEmpty());
  EXPECT_EQ(prefetch_.prefetch_view().rule, "jobs");
  builders_.view.builders.front().running_builds = 0;
  turns(5);
  EXPECT_THAT(engine_.calls, ElementsAre("pull one", "pull two"));
  EXPECT_THAT(builders_.fetched, ::testing::IsEmpty());
}

}  // namespace
}  // namespace buildwarden::prefetch
