#include "daemon/builders/worker_facts.h"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>

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

TEST(WorkerFacts, AreAskedAgainWhenThePlatformsOfTheHostChanged) {
  boost::asio::io_context loop;
  buildwarden::testing::FakeContainers engine;
  auto& container = engine.containers["buildwarden_s3"].seen;
  container.id = "1";
  container.ours = true;
  container.state = policy::ContainerState::kRunning;
  int asked = 0;
  WorkerFactsKeeper keeper({engine, engine, [] { return std::vector<std::string>{"s3"}; }});
  engine.execute = [&](const std::vector<std::string>&) {
    if (++asked == 2) keeper.ask_again();  // while it is being answered: what it says may be of before
    ports::ContainerControl::ExecResult result;
    result.exit_code = 0;
    result.output = kWorkers;
    return result;
  };
  for (int i = 0; i < 2; ++i) buildwarden::testing::run_void(loop, keeper.turn());
  EXPECT_EQ(asked, 1);
  keeper.ask_again();
  for (int i = 0; i < 4; ++i) buildwarden::testing::run_void(loop, keeper.turn());
  EXPECT_EQ(asked, 3);
}

TEST(WorkerFacts, AreAskedOncePerStart) {
  boost::asio::io_context loop;
  buildwarden::testing::FakeContainers engine;
  auto& container = engine.containers["buildwarden_s3"].seen;
  container.id = "1";
  container.ours = true;
  container.state = policy::ContainerState::kRunning;
  int asked = 0;
  engine.execute = [&asked](const std::vector<std::string>&) {
    ++asked;
    ports::ContainerControl::ExecResult result;
    result.exit_code = asked == 1 ? 1 : 0;
    result.output = kWorkers;
    return result;
  };
  WorkerFactsKeeper keeper({engine, engine, [] { return std::vector<std::string>{"s3"}; }});
  buildwarden::testing::run_void(loop, keeper.turn());
  EXPECT_EQ(keeper.of("s3").version, "") << "it failed";
  for (int i = 0; i < 3; ++i) buildwarden::testing::run_void(loop, keeper.turn());
  EXPECT_EQ(keeper.of("s3").version, "v0.13.1");
  EXPECT_EQ(asked, 2);
  container.ended = "later";
  buildwarden::testing::run_void(loop, keeper.turn());
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(keeper.of("other").version, "");
}

TEST(WorkerFacts, AreLookedAtWhenSomebodyTellsOfAStart) {
  boost::asio::io_context loop;
  buildwarden::testing::FakeContainers engine;
  auto& container = engine.containers["buildwarden_s3"].seen;
  container.id = "1";
  container.ours = true;
  container.state = policy::ContainerState::kRunning;
  int asked = 0;
  engine.execute = [&asked](const std::vector<std::string>&) {
    ++asked;
    ports::ContainerControl::ExecResult result;
    result.exit_code = 0;
    result.output = kWorkers;
    return result;
  };
  WorkerFactsKeeper keeper({engine, engine, [] { return std::vector<std::string>{"s3"}; }});
  buildwarden::testing::Background running(loop, keeper.run());
  buildwarden::testing::run_until(loop, [&] { return asked == 1; });
  container.restarts = 1;
  keeper.look_now();
  buildwarden::testing::run_until(loop, [&] { return asked == 2; });
  keeper.stop();
  buildwarden::testing::run_until(loop, [&] { return running.ended(); });
}

}  // namespace
}  // namespace buildwarden::builders
