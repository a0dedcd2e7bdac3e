#include "daemon/builders/worker_facts.h"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <functional>

#include "tests/support/fake_containers.h"
#include "tests/support/loop.h"
#include "tests/support/run_void.h"

namespace buildwarden::builders {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kWorkers =
    R"([{"id":"w","labels":{},"platforms":[{"architecture":"amd64","os":"linux"},)"
    R"({"architecture":"arm","os":"linux","variant":"v7"},{"architecture":"amd64","os":"linux"}],"gcPolicy":[],)"
    R"("buildkitVersion":{"package":"github.com/moby/buildkit","version":"v0.13.1","revision":"2"}}])";

TEST(DecodeWorkers, ReadsVersionAndPlatforms) {
  const auto facts = decode_workers(kWorkers);
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->version, "v0.13.1");
  EXPECT_THAT(facts->platforms, ElementsAre("linux/amd64", "linux/arm/v7"));
  EXPECT_THAT(decode_workers("[]")->platforms, IsEmpty());
  EXPECT_EQ(decode_workers(R"([{"platforms":[1,{}],"buildkitVersion":null}])")->version, "");
  for (const auto* text : {"", "null", "{}", "[1]", "the builder answers"}) EXPECT_FALSE(decode_workers(text)) << text;
}

TEST(DecodeVersion, IsTheThirdWord) {
  EXPECT_EQ(decode_version("buildkitd github.com/moby/buildkit v0.13.1 3\n"), "v0.13.1");
  for (const auto* text : {"", "buildkitd", "something else entirely", "buildctl x v1"}) {
    EXPECT_EQ(decode_version(text), "") << text;
  }
}

class WorkerFactsTest : public ::testing::Test {
 protected:
  WorkerFactsTest() {
    container_.id = "1";
    container_.ours = true;
    container_.state = policy::ContainerState::kRunning;
    engine_.execute = [this](const std::vector<std::string>&) {
      ++asked_;
      if (meanwhile_) meanwhile_();
      ports::ContainerControl::ExecResult result;
      result.exit_code = asked_ <= failing_ ? 1 : 0;
      result.output = kWorkers;
      return result;
    };
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) buildwarden::testing::run_void(loop_, keeper_.turn());
  }

  boost::asio::io_context loop_;
  buildwarden::testing::FakeContainers engine_;
  policy::ObservedContainer& container_ = engine_.containers["buildwarden_s3"].seen;
  WorkerFactsKeeper keeper_{{engine_, engine_, [] { return std::vector<std::string>{"s3"}; }}};
  std::function<void()> meanwhile_;  // while it is asked
  int asked_ = 0;
  int failing_ = 0;  // the first so many questions
};

TEST_F(WorkerFactsTest, AreAskedAgainWhenThePlatformsOfTheHostChanged) {
  meanwhile_ = [this] {
    if (asked_ == 2) keeper_.ask_again();  // what is being answered may be of before
  };
  turns(2);
  EXPECT_EQ(asked_, 1);
  keeper_.ask_again();
  turns(4);
  EXPECT_EQ(asked_, 3);
}

TEST_F(WorkerFactsTest, AreAskedOncePerStart) {
  failing_ = 1;
  turns(1);
  EXPECT_EQ(keeper_.of("s3").version, "") << "it failed";
  turns(3);
  EXPECT_EQ(keeper_.of("s3").version, "v0.13.1");
  EXPECT_EQ(asked_, 2);
  container_.ended = "later";
  turns(1);
  EXPECT_EQ(asked_, 3);
  EXPECT_EQ(keeper_.of("other").version, "");
}

TEST_F(WorkerFactsTest, AreLookedAtWhenSomebodyTellsOfAStart) {
  buildwarden::testing::Background running(loop_, keeper_.run());
  buildwarden::testing::run_until(loop_, [this] { return asked_ == 1; });
  container_.restarts = 1;
  keeper_.look_now();
  buildwarden::testing::run_until(loop_, [this] { return asked_ == 2; });
  keeper_.stop();
  buildwarden::testing::run_until(loop_, [&running] { return running.ended(); });
}

}  // namespace
}  // namespace buildwarden::builders
