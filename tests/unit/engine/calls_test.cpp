#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/engine/engine_fixture.h"
#include "tests/unit/engine/frames.h"

namespace buildwarden::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FakeAnswer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kCacheText = R"({"BuildCache":[{"ID":"r","InUse":false,"Shared":false,"Size":9,
  "CreatedAt":"2024-05-01T10:00:00Z","LastUsedAt":null}]})";

class CallsTest : public EngineFixture {
 protected:
  CallsTest() { start_and_connect(); }
  // The last request below the version, "GET /images/json".
  std::string asked(const std::string& method, const std::string& path) {
    const auto request = server_.last(method + " /v1.45" + path);
    return request ? request->what().substr(request->what().find("/v1.45") + 6) : "nothing";
  }
  void answer(const std::string& method_and_path, FakeAnswer answer) {
    const auto slash = method_and_path.find(' ') + 1;
    server_.on(method_and_path.substr(0, slash) + "/v1.45" + method_and_path.substr(slash), std::move(answer));
  }
};

TEST_F(CallsTest, ListsImages) {
  answer("GET /images/json", FakeAnswer::json(200, R"([{"Id":"sha256:1","Size":5,"Created":1,"RepoTags":["a:1"]}])"));
  const auto images = run(engine_->list_images());
  ASSERT_TRUE(images) << images.error().message();
  EXPECT_THAT(images->at(0).tags, ElementsAre("a:1"));
  EXPECT_EQ(asked("GET", "/images/json"), "/images/json");
}

// Once for each image: a list comes every minute, and an image's layers never change.
TEST_F(CallsTest, AsksForTheLayersOfAnImageOnce) {
  const auto list =
      FakeAnswer::json(200, R"([{"Id":"sha256:1","Size":5,"Created":1},{"Id":"sha256:2","Size":5,"Created":1}])");
  server_.replace("GET /v1.45/images/json", list);
  server_.replace("GET /v1.45/images/sha256:1/json", FakeAnswer::json(200, R"({"RootFS":{"Layers":["sha256:a"]}})"));
  server_.replace("GET /v1.45/images/sha256:2/json", FakeAnswer::json(500, R"({"message":"no such content"})"));
  for (int i = 0; i < 3; ++i) {
    const auto images = run(engine_->list_images());
    ASSERT_TRUE(images) << images.error().message();
    EXPECT_THAT(images->at(0).layers, ElementsAre(policy::layer_number("sha256:a")));
    EXPECT_TRUE(images->at(1).layers.empty()) << "one that the engine cannot describe is listed all the same";
  }
  EXPECT_EQ(server_.count("GET /v1.45/images/sha256:1/json"), 1);
  EXPECT_EQ(server_.count("GET /v1.45/images/sha256:2/json"), 3);
}

TEST_F(CallsTest, AsksWhatAContainerMountsWhereItCanMountImages) {
  EXPECT_TRUE(run(engine_->mounted_images("c"))->empty());
  EXPECT_EQ(asked("GET", "/containers/c"), "nothing") << "not before API 1.48";
}

TEST_F(CallsTest, BigListsAreParsedToo) {
  std::string list = "[";
  for (int i = 0; i < 5000; ++i) {
    list += (i == 0 ? "" : ",") + std::string(R"({"Id":"sha256:)") + std::to_string(i) +
            R"(","Size":5,"Created":1,"RepoTags":["some/rather/long/name/of/an/image:)" + std::to_string(i) + "\"]}";
  }
  ASSERT_GT(list.size(), 256U * 1024U);
  answer("GET /images/json", FakeAnswer::json(200, list + "]"));
  const auto images = run(engine_->list_images());
  ASSERT_TRUE(images) << images.error().message();
  EXPECT_EQ(images->size(), 5000U);
  server_.replace("GET /v1.45/images/json", FakeAnswer::json(200, list));
  EXPECT_EQ(run(engine_->list_images()).error().code(), Errc::kProtocol);
}

TEST_F(CallsTest, ErrorsMeanWhatTheEngineSays) {
  const std::pair<int, Errc> meanings[] = {{400, Errc::kInvalid},     {401, Errc::kDenied},   {403, Errc::kDenied},
                                           {404, Errc::kNotFound},    {409, Errc::kConflict}, {500, Errc::kUnavailable},
                                           {503, Errc::kUnavailable}, {418, Errc::kProtocol}};
  for (const auto& [status, code] : meanings) {
    server_.replace("DELETE /v1.45/images", FakeAnswer::json(status, R"({"message":"so it is"})"));
    const auto removed = run(engine_->remove_image("a:1"));
    ASSERT_FALSE(removed) << status;
    EXPECT_EQ(removed.error().code(), code) << status;
    EXPECT_EQ(removed.error().message(),
              "removing image a:1: the engine answers " + std::to_string(status) + ": so it is");
  }
}

TEST_F(CallsTest, RemovesImagesWithoutForce) {
  answer("DELETE /images", FakeAnswer::json(200, R"([{"Untagged":"a:1"}])"));
  EXPECT_TRUE(run(engine_->remove_image("r.example:5000/a/b:1")));
  EXPECT_EQ(asked("DELETE", "/images"), "/images/r.example:5000/a/b:1");
  EXPECT_EQ(run(engine_->remove_image("../containers/x")).error().code(), Errc::kInvalid);
  EXPECT_EQ(server_.count("DELETE"), 1);
}

TEST_F(CallsTest, RemovesEndedContainersWithoutForceAndWithTheirAnonymousVolumes) {
  answer("DELETE /containers", FakeAnswer::json(204, ""));
  EXPECT_TRUE(run(engine_->remove_ended_container("c1")));
  EXPECT_EQ(asked("DELETE", "/containers"), "/containers/c1?force=0&v=1");
  server_.replace("DELETE /v1.45/containers", FakeAnswer::json(409, R"({"message":"it is running"})"));
  EXPECT_EQ(run(engine_->remove_ended_container("c1")).error().code(), Errc::kConflict);
  EXPECT_EQ(run(engine_->remove_ended_container("../images/x")).error().code(), Errc::kInvalid);
}

TEST_F(CallsTest, DescribesContainersAndMeasuresOnlyWhenAsked) {
  answer("GET /containers/c1/json",
         FakeAnswer::json(200, R"({"Id":"c1","Created":"2024-05-01T10:00:00Z","SizeRw":7,"State":{"Status":"exited",
           "StartedAt":"2024-05-01T10:00:01Z","FinishedAt":"2024-05-01T11:00:00Z","ExitCode":0},
           "HostConfig":{"RestartPolicy":{"Name":"no"}}})"));
  const auto details = run(engine_->describe_container("c1", true));
  ASSERT_TRUE(details) << details.error().message();
  EXPECT_EQ(details->size, 7);
  EXPECT_EQ(asked("GET", "/containers"), "/containers/c1/json?size=1");
  EXPECT_TRUE(run(engine_->describe_container("c1", false)));
  EXPECT_EQ(asked("GET", "/containers"), "/containers/c1/json");
  EXPECT_EQ(run(engine_->describe_container("c2", false)).error().code(), Errc::kNotFound);
}

TEST_F(CallsTest, EachCallIsToldByItsRoute) {
  EXPECT_FALSE(run(engine_->remove_image("r.example:5000/a/b:1")));
  EXPECT_FALSE(run(engine_->list_networks()));
  EXPECT_THAT(calls_, ElementsAre("DELETE /images/{}", "GET /_ping", "GET /events", "GET /info", "GET /networks"));
}

TEST_F(CallsTest, ListsAndRemovesNetworks) {
  answer("GET /networks", FakeAnswer::json(200, R"([{"Name":"ci","Id":"n1","Created":"2024-05-01T10:00:00Z",
    "Scope":"local","Ingress":false,"ConfigOnly":false,"Labels":{}}])"));
  const auto networks = run(engine_->list_networks());
  ASSERT_TRUE(networks) << networks.error().message();
  EXPECT_EQ(networks->at(0).name, "ci");
  answer("DELETE /networks", FakeAnswer::json(403, R"({"message":"has active endpoints"})"));
  EXPECT_EQ(run(engine_->remove_network("n1")).error().code(), Errc::kDenied);
  EXPECT_EQ(asked("DELETE", "/networks"), "/networks/n1");
}

TEST_F(CallsTest, ListsAndRemovesVolumesWithoutForce) {
  answer("GET /volumes", FakeAnswer::json(200, R"({"Volumes":[{"Name":"v","Driver":"local"}]})"));
  const auto volumes = run(engine_->list_volumes("buildx_"));
  ASSERT_TRUE(volumes) << volumes.error().message();
  EXPECT_EQ(volumes->at(0).name, "v");
  EXPECT_EQ(asked("GET", "/volumes"), "/volumes?filters=%7B%22name%22%3A%5B%22buildx_%22%5D%7D");
  answer("DELETE /volumes", FakeAnswer::json(409, R"({"message":"volume is in use"})"));
  EXPECT_EQ(run(engine_->remove_volume("v")).error().code(), Errc::kConflict);
  EXPECT_EQ(asked("DELETE", "/volumes"), "/volumes/v?force=0");
  EXPECT_EQ(run(engine_->remove_volume("../containers/x")).error().code(), Errc::kInvalid);
}

TEST_F(CallsTest, StopsContainersWithTimeToEnd) {
  answer("POST /containers/c1/stop", FakeAnswer::json(304, ""));
  EXPECT_TRUE(run(engine_->stop_container("c1"))) << "it does not run";
  EXPECT_EQ(asked("POST", "/containers"), "/containers/c1/stop?t=10");
  EXPECT_EQ(run(engine_->stop_container("c2")).error().code(), Errc::kNotFound);
}

TEST_F(CallsTest, GivesAnImagesId) {
  answer("GET /images/a:1/json", FakeAnswer::json(200, R"({"Id":"sha256:77"})"));
  EXPECT_EQ(*run(engine_->image_id("a:1")), "sha256:77");
  EXPECT_EQ(run(engine_->image_id("b:1")).error().code(), Errc::kNotFound);
}

TEST_F(CallsTest, ReadsTheCacheOneCallAtATime) {
  answer("GET /system/df", FakeAnswer::hang());
  std::optional<std::size_t> first;
  std::optional<std::size_t> second;
  auto ask = [](Engine& engine, std::optional<std::size_t>& count) -> boost::asio::awaitable<void> {
    const auto records = co_await engine.cache_records();
    count = records ? records->size() : 99;
  };
  testing::Background one(loop_, ask(*engine_, first));
  testing::Background two(loop_, ask(*engine_, second));
  until([this] { return server_.held("GET /v1.45/system/df") == 1; });
  for (int i = 0; i < 20; ++i) loop_.run_one_for(1ms);
  EXPECT_EQ(server_.count("GET /v1.45/system/df"), 1) << "the second waits";
  const auto answer = FakeAnswer::json(200, kCacheText).bytes;
  server_.push("GET /v1.45/system/df", answer);
  until([&] { return first.has_value() && server_.held("GET /v1.45/system/df") == 2; });
  server_.push("GET /v1.45/system/df", answer);
  until([&] { return two.ended(); });
  EXPECT_EQ(first, 1U);
  EXPECT_EQ(second, 1U);
  EXPECT_EQ(asked("GET", "/system"), "/system/df?type=build-cache");
}

TEST_F(CallsTest, ACancelledCallLetsTheNextThrough) {
  answer("GET /system/df", FakeAnswer::hang());
  answer("GET /system/df", FakeAnswer::json(200, kCacheText));
  auto ask = [](Engine& engine) -> boost::asio::awaitable<void> { (void)co_await engine.cache_records(); };
  testing::Background inside(loop_, ask(*engine_));
  until([this] { return server_.held("GET /v1.45/system/df") == 1; });
  testing::Background waiting(loop_, ask(*engine_));
  for (int i = 0; i < 5; ++i) loop_.run_one_for(1ms);
  waiting.cancel();
  until([&] { return waiting.ended(); });
  inside.cancel();
  until([&] { return inside.ended(); });
  EXPECT_TRUE(run(engine_->cache_records()));
}

TEST_F(CallsTest, PrunesTheCache) {
  answer("POST /build/prune", FakeAnswer::json(200, R"({"CachesDeleted":["a"],"SpaceReclaimed":4096})"));
  const auto freed = run(engine_->prune_cache({"a"}, 60s));
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_EQ(freed->freed, 4096);
  EXPECT_TRUE(freed->left.empty());
  EXPECT_EQ(asked("POST", "/build"),
            "/build/prune?all=1&filters=%7B%22id%22%3A%7B%22%5E%28a%29%24%22%3Atrue%7D%2C%22until%22%3A%7B%2260s%22%3A"
            "true%7D%7D");
  EXPECT_EQ(run(engine_->prune_cache({".*"}, 60s)).error().code(), Errc::kInvalid);
}

// The engine says nothing of what has children or is in use.
TEST_F(CallsTest, WhatAPrunePassedOverIsLookedFor) {
  answer("POST /build/prune", FakeAnswer::json(200, R"({"CachesDeleted":null,"SpaceReclaimed":0})"));
  answer("GET /system/df", FakeAnswer::json(200, kCacheText));
  const auto records = run(engine_->cache_records());
  ASSERT_TRUE(records) << records.error().message();
  const auto& id = records->at(0).id;
  const auto freed = run(engine_->prune_cache({id, "gone"}, 60s));
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_EQ(freed->left, std::set<std::string>{id});
}

TEST_F(CallsTest, ListsAndInspectsContainers) {
  answer("GET /containers/json", FakeAnswer::json(200, R"([{"Id":"c","Names":["/web"],"Image":"a","ImageID":"sha256:1",
    "Created":1,"State":"exited","Labels":null}])"));
  answer("GET /containers/web/json", FakeAnswer::json(200, R"({"Id":"c","Image":"sha256:1","State":{"Status":"running"},
    "Config":{"Labels":{}}})"));
  EXPECT_EQ(run(engine_->list_containers())->at(0).name, "web");
  EXPECT_EQ(asked("GET", "/containers/json"), "/containers/json?all=1");
  EXPECT_EQ(run(engine_->inspect_container("web"))->state, policy::ContainerState::kRunning);
  const auto missing = run(engine_->inspect_container("absent"));
  ASSERT_TRUE(missing) << "missing is a state";
  EXPECT_EQ(missing->state, policy::ContainerState::kMissing);
}

TEST_F(CallsTest, CreatesAContainer) {
  answer("POST /containers/create", FakeAnswer::json(201, R"({"Id":"new","Warnings":[]})"));
  ports::ContainerSpec spec;
  spec.name = "buildwarden_s3";
  spec.image = "i";
  EXPECT_EQ(*run(engine_->create_container(spec)), "new");
  EXPECT_EQ(asked("POST", "/containers"), "/containers/create?name=buildwarden_s3");
  EXPECT_THAT(server_.last("POST")->head, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(server_.last("POST")->body, StartsWith(R"({"Image":"i")"));
}

TEST_F(CallsTest, ActsOnContainers) {
  using Verb = ports::ContainerVerb;
  answer("POST /containers/c/start", FakeAnswer::raw("HTTP/1.1 304 Not Modified\r\n\r\n"));
  answer("POST /containers/c/", FakeAnswer::raw("HTTP/1.1 204 No Content\r\n\r\n"));
  answer("DELETE /containers/c", FakeAnswer::raw("HTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_TRUE(run(engine_->act_on_container("c", Verb::kStart))) << "it runs already";
  EXPECT_TRUE(run(engine_->act_on_container("c", Verb::kUnpause)));
  EXPECT_EQ(asked("POST", "/"), "/containers/c/unpause");
  EXPECT_TRUE(run(engine_->act_on_container("c", Verb::kRestart)));
  EXPECT_EQ(asked("POST", "/"), "/containers/c/restart?t=0");
  EXPECT_TRUE(run(engine_->act_on_container("c", Verb::kRemove)));
  EXPECT_EQ(asked("DELETE", "/"), "/containers/c?force=1&v=1");
  EXPECT_EQ(run(engine_->act_on_container("d", Verb::kStart)).error().code(), Errc::kNotFound);
}

TEST_F(CallsTest, RunsACommand) {
  answer("POST /containers/c/exec", FakeAnswer::json(201, R"({"Id":"e1"})"));
  answer("POST /exec/e1/start",
         FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n" +
                         frame('\1', "out") + frame('\2', "err")));
  answer("GET /exec/e1/json", FakeAnswer::json(200, R"({"Running":true,"ExitCode":null})"));
  answer("GET /exec/e1/json", FakeAnswer::json(200, R"({"Running":false,"ExitCode":7})"));
  const std::vector<std::string> command = {"buildctl", "du"};
  const auto result = run(engine_->exec_in_container("c", command, {}));
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->exit_code, 7);
  EXPECT_EQ(result->output, "out");
  EXPECT_EQ(result->errors, "err");
  EXPECT_FALSE(result->cut);
  EXPECT_THAT(server_.last("POST /v1.45/containers/c/exec")->body, HasSubstr(R"("Cmd":["buildctl","du"])"));
}

TEST_F(CallsTest, WaitsForAContainerAndGivesWhatItWrote) {
  answer("POST /containers/c/wait", FakeAnswer::json(200, R"({"StatusCode":3})"));
  answer("GET /containers/c/logs?stdout=1&stderr=1",
         FakeAnswer::raw("HTTP/1.1 200 OK\r\n\r\n" + frame('\1', "{}") + frame('\2', "why")));
  const auto result = run(engine_->await_container("c", {}));
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "{}");
  EXPECT_EQ(result->errors, "why");
  EXPECT_EQ(run(engine_->await_container("absent", {})).error().code(), Errc::kNotFound);
}

TEST_F(CallsTest, ACommandsOutputThatBreaksIsNoResult) {
  answer("POST /containers/c/exec", FakeAnswer::json(201, R"({"Id":"e1"})"));
  answer("POST /exec/e1/start", FakeAnswer::raw("HTTP/1.1 200 OK\r\n\r\n" + frame('\1', "whole").substr(0, 10)));
  const std::vector<std::string> command = {"x"};
  EXPECT_EQ(run(engine_->exec_in_container("c", command, {})).error().code(), Errc::kProtocol);
  EXPECT_EQ(run(engine_->exec_in_container("absent", command, {})).error().code(), Errc::kNotFound);
}

TEST_F(CallsTest, LoadsAnArchive) {
  const auto path = server_.folder() + "/image.tar";
  std::ofstream(path) << "tar";
  answer("POST /images/load", FakeAnswer::json(200, "{\"stream\":\"Loaded image: a:1\\n\"}\r\n"));
  answer("POST /images/load", FakeAnswer::json(200, "{\"stream\":\"x\"}\n{\"error\":\"no space left on device\"}\n"));
  EXPECT_TRUE(run(engine_->load_archive(path)));
  EXPECT_EQ(asked("POST", "/images"), "/images/load?quiet=1");
  EXPECT_EQ(server_.last("POST")->body, "tar");
  EXPECT_THAT(server_.last("POST")->head, HasSubstr("Content-Type: application/x-tar"));
  const auto full = run(engine_->load_archive(path));
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().message(), HasSubstr("no space left on device"));
  ::unlink(path.c_str());
  EXPECT_EQ(run(engine_->load_archive(path)).error().code(), Errc::kNotFound);
}

std::string chunk(const std::string& text) { return format("{:x}\r\n{}\r\n", text.size(), text); }
constexpr const char* kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST_F(CallsTest, PullsToTheEnd) {
  answer("POST /images/create", FakeAnswer::raw(kChunked + chunk("{\"status\":\"Pulling\"}\r\n") +
                                                chunk("{\"status\":\"Done\"}\r\n") + "0\r\n\r\n"));
  const auto pulled = run(engine_->pull("moby/buildkit:x"));
  EXPECT_TRUE(pulled) << pulled.error().message();
  EXPECT_EQ(asked("POST", "/images"), "/images/create?fromImage=moby%2Fbuildkit&tag=x");
  EXPECT_EQ(server_.last("POST")->head.find("X-Registry-Auth"), std::string::npos);
}

TEST_F(CallsTest, APullMayFailInTheMiddle) {
  answer("POST /images/create",
         FakeAnswer::raw(kChunked + chunk("{\"error\":\"manifest unknown\"}\r\n") + "0\r\n\r\n"));
  answer("POST /images/create", FakeAnswer::raw(kChunked + chunk("{\"status\":\"Pulling\"}\r\n")));
  answer("POST /images/create", FakeAnswer::json(404, R"({"message":"pull access denied"})"));
  EXPECT_THAT(run(engine_->pull("a")).error().message(), HasSubstr("manifest unknown"));
  EXPECT_EQ(run(engine_->pull("a")).error().code(), Errc::kUnavailable) << "broke off: not pulled";
  EXPECT_THAT(run(engine_->pull("a")).error().message(), HasSubstr("pull access denied"));
}

class CredentialsTest : public EngineFixture {};

TEST_F(CredentialsTest, GoWithAPullOfTheirRegistry) {
  docker_config_ = server_.folder();
  const auto path = docker_config_ + "/config.json";
  std::ofstream(path) << R"({"auths":{"r.example":{"auth":"dTpw"}}})";
  server_.on("POST /v1.45/images/create", FakeAnswer::json(200, "{}\n"));
  start_and_connect();
  EXPECT_TRUE(run(engine_->pull("r.example/a:1")));
  EXPECT_THAT(server_.last("POST")->head, HasSubstr("X-Registry-Auth: eyJzZXJ2ZXJhZGRyZXNzIjoi"));
  EXPECT_TRUE(run(engine_->pull("alpine:1")));
  EXPECT_EQ(server_.last("POST")->head.find("X-Registry-Auth"), std::string::npos);
  std::ofstream(path) << "not json";
  EXPECT_THAT(run(engine_->pull("r.example/a:1")).error().message(), HasSubstr(path));
  ::unlink(path.c_str());
  EXPECT_TRUE(run(engine_->pull("r.example/a:1"))) << "no file, no credentials";
}

TEST_F(EngineFixture, BeforeTheFirstContactCallsSayWhy) {
  engine_ = std::make_unique<Engine>(settings(), EngineParts{workers_, clock_, journal_});
  const auto images = run(engine_->list_images());
  ASSERT_FALSE(images);
  EXPECT_EQ(images.error().code(), Errc::kUnavailable);
  EXPECT_EQ(images.error().message(), "listing images: the engine was not asked yet");
  engine_.reset();
}

}  // namespace
}  // namespace buildwarden::engine
