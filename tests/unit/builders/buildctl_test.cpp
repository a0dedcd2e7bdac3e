#include "daemon/builders/buildctl.h"

#include <gtest/gtest.h>

#include "daemon/builders/builder_cache.h"
#include "tests/support/fake_containers.h"
#include "tests/support/loop.h"

namespace buildwarden::builders {
namespace {

using testing::run_on;
using Command = std::vector<std::string>;

// As BuildKit 0.32's buildctl wrote it, shortened to what differs.
constexpr std::string_view kUsage =
    R"([{"id":"a","mutable":false,"inUse":false,"size":8192,"createdAt":"2026-01-01T10:00:00.5Z",)"
    R"("lastUsedAt":"2026-01-02T10:00:00Z","usageCount":3,"parents":["b"],"description":"COPY . .",)"
    R"("recordType":"regular","shared":false},)"
    R"({"id":"b","mutable":true,"inUse":true,"size":100,"createdAt":"2026-01-01T09:00:00Z","lastUsedAt":null,)"
    R"("usageCount":0,"parents":null,"description":"local source","recordType":"source.local","shared":true},)"
    R"({"id":"c","inUse":false,"size":-1,"createdAt":"2026-01-01T09:00:00Z","lastUsedAt":"0001-01-01T00:00:00Z",)"
    R"("shared":false}])";

TEST(Buildctl, ReadsTheRecords) {
  const auto records = decode_usage(kUsage);
  ASSERT_TRUE(records) << records.error().message();
  ASSERT_EQ(records->size(), 3U);
  EXPECT_EQ(records->at(0).id, "a");
  EXPECT_EQ(records->at(0).size, 8192);
  EXPECT_EQ(records->at(0).parents, Command{"b"});
  EXPECT_TRUE(records->at(1).parents.empty());
  EXPECT_FALSE(records->at(0).in_use);
  EXPECT_EQ(format_rfc3339(records->at(0).last_used), "2026-01-02T10:00:00.000Z");
  EXPECT_TRUE(records->at(1).in_use);
  EXPECT_TRUE(records->at(1).shared);
  EXPECT_EQ(format_rfc3339(records->at(1).last_used), "2026-01-01T09:00:00.000Z");
  EXPECT_EQ(records->at(2).size, 0);
  EXPECT_EQ(format_rfc3339(records->at(2).last_used), "2026-01-01T09:00:00.000Z");
  EXPECT_TRUE(decode_usage("null\n")->empty());
}

TEST(Buildctl, ReadsWhatIsKnownOfARecordsUse) {
  const auto records = decode_usage(kUsage);
  ASSERT_TRUE(records);
  EXPECT_EQ(records->at(0).uses, 3U);
  EXPECT_EQ(records->at(0).description, "COPY . .");
  EXPECT_EQ(records->at(0).type, "regular");
  EXPECT_EQ(format_rfc3339(records->at(0).created), "2026-01-01T10:00:00.500Z");
  EXPECT_EQ(records->at(1).type, "source.local");
  EXPECT_EQ(records->at(2).uses, 0U);
  EXPECT_EQ(records->at(2).description, "");
}

// As buildctl 0.32 wrote it, shortened: a step is told of when it begins and again when it ends.
constexpr std::string_view kProgress =
    R"({"vertexes":[{"digest":"sha256:1","name":"[2/4] RUN sleep 3","started":"2026-01-01T10:00:00.1Z"}]})"
    "\n"
    R"({"vertexes":[{"digest":"sha256:1","name":"[2/4] RUN sleep 3","started":"2026-01-01T10:00:00.1Z",)"
    R"("completed":"2026-01-01T10:00:03.27Z"},{"digest":"sha256:2","name":"[1/4] FROM alpine","cached":true,)"
    R"("started":"2026-01-01T10:00:00Z","completed":"2026-01-01T10:00:00Z"}],"logs":[{"data":"YQ=="}]})"
    "\n"
    R"({"logs":[{"vertex":"sha256:1","data":"c2VjcmV0"}]})"
    "\n"
    R"({"vertexes":[{"digest":"sha256:3","name":"[3/4] RUN false","started":"2026-01-01T10:00:04Z",)"
    R"("completed":"2026-01-01T10:00:05Z","error":"exit code: 1"}]})"
    "\nerror: unknown progress mode\n{\"vertexes\": broken\n";

TEST(Buildctl, ReadsWhatStepsTook) {
  const auto steps = decode_steps(kProgress);
  ASSERT_TRUE(steps);
  ASSERT_EQ(steps->size(), 1U) << "not those that were cached, failed or cannot be read";
  EXPECT_EQ(steps->at(0).name, "[2/4] RUN sleep 3");
  EXPECT_EQ(steps->at(0).completed - steps->at(0).started, Duration{3'170});
  EXPECT_TRUE(decode_steps("")->empty());
}

// The history's own JSON has the builds' attributes, S3 keys among them: nobody asks for it.
TEST(Buildctl, AsksForTheNamesOfBuildsAndTheirProgressAlone) {
  const auto command = steps_command();
  ASSERT_EQ(command.size(), 3U);
  EXPECT_EQ(command[2].find("json ."), std::string::npos);
  EXPECT_NE(command[2].find("{{.Ref}}"), std::string::npos);
  EXPECT_NE(command[2].find("debug logs --progress rawjson"), std::string::npos);
}

TEST(Buildctl, AnythingElseIsNoList) {
  for (const auto* text : {"", "[", "{}", "7", "[7]", "[{}]", R"([{"id":"a","inUse":false,"size":1,"shared":false}])",
                           R"([{"id":"a","inUse":false,"size":"1","createdAt":"2026-01-01T09:00:00Z","shared":false}])",
                           R"([{"id":"a","inUse":0,"size":1,"createdAt":"2026-01-01T09:00:00Z","shared":false}])",
                           R"([{"id":"a","inUse":false,"size":1,"createdAt":"yesterday","shared":false}])",
                           R"([{"id":"a","inUse":false,"size":1,"createdAt":"2026-01-01T09:00:00Z","shared":false,)"
                           R"("parents":"b"}])",
                           R"([{"id":"","inUse":false,"size":1,"createdAt":"2026-01-01T09:00:00Z","shared":false}])"}) {
    const auto records = decode_usage(text);
    ASSERT_FALSE(records) << text;
    EXPECT_EQ(records.error().code(), Errc::kProtocol) << text;
  }
}

TEST(Buildctl, AddsUpWhatWasPruned) {
  EXPECT_EQ(decode_pruned("")->bytes, 0);
  const auto pruned = decode_pruned(
      "{\"id\":\"a\",\"size\":10,\"shared\":false}\r\n\n"
      "{\"id\":\"b\",\"size\":5,\"shared\":true}\n{\"id\":\"c\",\"size\":2,\"shared\":false}");
  ASSERT_TRUE(pruned) << pruned.error().message();
  EXPECT_EQ(pruned->bytes, 12);
  EXPECT_EQ(pruned->ids, (std::set<std::string>{"a", "b", "c"}));
  EXPECT_FALSE(decode_pruned("{\"id\":\"a\"}"));
  EXPECT_FALSE(decode_pruned("{\"size\":10,\"shared\":false}"));
  EXPECT_FALSE(decode_pruned("error: no"));
  EXPECT_FALSE(decode_pruned("[]"));
}

TEST(Buildctl, PrunesByIdAndAge) {
  const Command head = {"buildctl", "prune", "--all", "--format", "{{json .}}", "--keep-duration"};
  auto expected = head;
  expected.insert(expected.end(), {"14401s", "--filter", "id==a", "--filter", "id==b"});
  EXPECT_EQ(prune_command(Command{"a", "b"}, std::chrono::hours{4} + Duration{1}), expected);
  expected = head;
  expected.insert(expected.end(), {"0s", "--filter", "id==a"});
  EXPECT_EQ(prune_command(Command{"a"}, Duration{-1}), expected);
}

class BuilderCacheTest : public ::testing::Test {
 protected:
  BuilderCacheTest() {
    auto& container = engine_.containers["buildwarden_s3"];
    container.seen.id = "one";
    container.seen.ours = true;
    container.seen.state = policy::ContainerState::kRunning;
    engine_.execute = [this](const Command& command) {
      ports::ContainerControl::ExecResult result = answer_;
      if (command.at(1) == "prune") result.output = "{\"id\":\"a\",\"size\":8192,\"shared\":false}\n";
      return result;
    };
    answer_.exit_code = 0;
    answer_.output = std::string(kUsage);
  }
  policy::ObservedContainer& seen() { return engine_.containers.at("buildwarden_s3").seen; }
  Errc list_failure() {
    const auto records = run_on(loop_, cache_.cache_records());
    EXPECT_FALSE(records);
    return records ? Errc::kInvalid : records.error().code();
  }

  boost::asio::io_context loop_;
  testing::FakeContainers engine_;
  WorkerPool workers_{1};
  ports::ContainerControl::ExecResult answer_;
  BuilderCache cache_{"s3", {engine_, engine_, workers_}};
};

TEST_F(BuilderCacheTest, AsksInTheContainerByItsId) {
  EXPECT_EQ(run_on(loop_, cache_.cache_records())->size(), 3U);
  const auto pruned = run_on(loop_, cache_.prune_cache({"a"}, std::chrono::hours{1}));
  ASSERT_TRUE(pruned) << pruned.error().message();
  EXPECT_EQ(pruned->freed, 8192);
  EXPECT_TRUE(pruned->left.empty());
  EXPECT_EQ(engine_.calls, (Command{"exec one buildctl du --format {{json .}}",
                                    "exec one buildctl prune --all --format {{json .}} --keep-duration 3600s "
                                    "--filter id==a"}));
}

// "b" has a child and "gone" is not there any more: of neither BuildKit says a word.
TEST_F(BuilderCacheTest, WhatIsNotNamedAsPrunedIsLookedFor) {
  ASSERT_TRUE(run_on(loop_, cache_.cache_records()));
  const auto pruned = run_on(loop_, cache_.prune_cache({"a", "b", "gone"}, Duration{0}));
  ASSERT_TRUE(pruned) << pruned.error().message();
  EXPECT_EQ(pruned->left, std::set<std::string>{"b"});
  EXPECT_EQ(engine_.calls.back(), "exec one buildctl du --format {{json .}}");
}

TEST_F(BuilderCacheTest, OnlyIdsAreAskedFor) {
  ASSERT_TRUE(run_on(loop_, cache_.cache_records()));
  EXPECT_EQ(run_on(loop_, cache_.prune_cache({"a", "size>0"}, Duration{0})).error().code(), Errc::kInvalid);
  EXPECT_EQ(engine_.calls.size(), 1U);
}

TEST_F(BuilderCacheTest, ManyGoInSeveralCallsChildrenFirst) {
  ASSERT_TRUE(run_on(loop_, cache_.cache_records()));
  std::vector<std::string> ids(501, "x");
  ids.back() = "last";
  ASSERT_TRUE(run_on(loop_, cache_.prune_cache(ids, Duration{0})));
  ASSERT_EQ(engine_.calls.size(), 4U);
  EXPECT_EQ(engine_.calls[1].find("id==last"), std::string::npos);
  EXPECT_TRUE(engine_.calls[2].ends_with("0s --filter id==last")) << engine_.calls[2];
}

TEST_F(BuilderCacheTest, OnlyOneThatIsOursAndRunsIsAsked) {
  seen().state = policy::ContainerState::kPaused;
  EXPECT_EQ(list_failure(), Errc::kNotFound);
  seen().state = policy::ContainerState::kRunning;
  seen().ours = false;
  EXPECT_EQ(list_failure(), Errc::kDenied);
  engine_.containers.clear();
  EXPECT_EQ(list_failure(), Errc::kNotFound);
  EXPECT_TRUE(engine_.calls.empty());
}

TEST_F(BuilderCacheTest, APlanIsForTheContainerThatItWasMadeIn) {
  EXPECT_EQ(run_on(loop_, cache_.prune_cache({"a"}, Duration{0})).error().code(), Errc::kConflict);
  ASSERT_TRUE(run_on(loop_, cache_.cache_records()));
  seen().id = "two";
  EXPECT_EQ(run_on(loop_, cache_.prune_cache({"a"}, Duration{0})).error().code(), Errc::kConflict);
  EXPECT_EQ(engine_.calls.size(), 1U);
}

TEST_F(BuilderCacheTest, ItsSizeIsKnownAsLongAsItAnswers) {
  EXPECT_FALSE(cache_.bytes());
  EXPECT_EQ(*run_on(loop_, cache_.measure()), 8192);
  EXPECT_EQ(cache_.bytes(), 8192);
  answer_.exit_code = 1;
  answer_.errors = "error: no such socket";
  const auto failed = run_on(loop_, cache_.measure());
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("buildctl ended with 1: error: no such socket"), std::string::npos)
      << failed.error().message();
  EXPECT_FALSE(cache_.bytes());
}

TEST_F(BuilderCacheTest, AnImageIsFetchedByACommandInItsContainer) {
  EXPECT_EQ(run_on(loop_, cache_.fetch("a b")).error().code(), Errc::kInvalid);
  EXPECT_TRUE(engine_.calls.empty());
  EXPECT_TRUE(run_on(loop_, cache_.fetch("example.com/a:1")));
  ASSERT_EQ(engine_.calls.size(), 1U);
  EXPECT_EQ(engine_.calls.front().substr(0, 15), "exec one sh -c ");
  answer_.exit_code = 1;
  answer_.errors = "error: no such host";
  const auto failed = run_on(loop_, cache_.fetch("example.com/a:1"));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("error: no such host"), std::string::npos) << failed.error().message();
  seen().state = policy::ContainerState::kExited;
  EXPECT_EQ(run_on(loop_, cache_.fetch("example.com/a:1")).error().code(), Errc::kNotFound);
}

TEST_F(BuilderCacheTest, HalfAListIsNone) {
  answer_.cut = true;
  EXPECT_EQ(list_failure(), Errc::kTooLarge);
  answer_.cut = false;
  answer_.output.resize(100);
  EXPECT_EQ(list_failure(), Errc::kProtocol);
  answer_.output.clear();
  EXPECT_EQ(list_failure(), Errc::kProtocol);
}

}  // namespace
}  // namespace buildwarden::builders
