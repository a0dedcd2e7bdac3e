// Admission over the wire: answers, refusals, scripts, and operations that take longer.
#include <gmock/gmock.h>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kScript = "Accept: text/x-shellscript\r\n";

class JobsTest : public ApiTest {
 protected:
  [[nodiscard]] ports::JobAnswer admitted() const {
    ports::JobAnswer answer;
    answer.id = "job-1";
    answer.admitted = true;
    answer.reason = "40 GiB free";
    answer.rule = "enough";
    answer.grant.env = {{"BUILDX_BUILDER", "buildwarden-s3"}};
    answer.grant.files = {{"instances/buildwarden-s3", 0600, "{\"Name\":1}"}};
    answer.expires_at = clock.now().wall + 6h;
    return answer;
  }
  [[nodiscard]] static ports::JobAnswer refused() {
    ports::JobAnswer answer;
    answer.id = "job-1";
    answer.reason = "1 GiB free, 5 GiB wanted";
    answer.rule = "not_enough";
    answer.users = {{"images", "app:1", 7}};
    answer.hits_all = true;
    return answer;
  }
  // Polls until the operation is no longer running.
  [[nodiscard]] Answer operation_at(const std::string& path) const { return get(path + "?wait=30"); }
};

TEST_F(JobsTest, ANewJobIsCreatedAndAKnownOneRenewed) {
  admissions.answer = admitted();
  start();
  const auto created = ask("POST", "/v1/jobs", R"({"id":"job-1"})");
  EXPECT_EQ(created.status, 201);
  EXPECT_EQ(created.body,
            R"({"id":"job-1","verdict":"run","reason":"40 GiB free","rule":"enough","disk":[],)"
            R"("env":{"BUILDX_BUILDER":"buildwarden-s3"},"files":[{"path":"instances/buildwarden-s3","mode":"0600",)"
            R"("content":"{\"Name\":1}"}],"expires_at":"2026-01-01T06:00:00.000Z","note":""})");
  EXPECT_TRUE(created.has("Location: /v1/jobs/job-1"));
  on_loop([&] { admissions.answer->known_before = true; });
  const auto renewed = ask("POST", "/v1/jobs", R"({"id":"job-1"})");
  EXPECT_EQ(renewed.status, 200);
  EXPECT_EQ(renewed.head.find("Location"), std::string::npos);
}

TEST_F(JobsTest, OneJobIsFoundAtItsOwnPath) {
  admissions.answer = admitted();
  admissions.answer->id = "a/b %é";
  views.jobs.leases.resize(2);
  views.jobs.leases[0].id = "other";
  views.jobs.leases[1].id = "a/b %é";
  views.jobs.leases[1].pipeline = "web";
  start();
  const auto created = ask("POST", "/v1/jobs", R"({"id":"a/b %é"})");
  EXPECT_TRUE(created.has("Location: /v1/jobs/a%2Fb%20%25%C3%A9")) << created.head;
  EXPECT_EQ(get("/v1/jobs/a%2Fb%20%25%C3%A9").text("pipeline"), "web");
  EXPECT_EQ(get("/v1/jobs/none").text("code"), "job_unknown");
}

TEST_F(JobsTest, AnotherJobOfAKnownIdIsAConflict) {
  ports::JobAnswer answer;
  answer.id = "job-1";
  answer.reason = "job job-1 runs already, and need_bytes is not what it was started with";
  answer.differs = {"need_bytes"};
  admissions.answer = answer;
  start();
  const auto refused = ask("POST", "/v1/jobs", R"({"id":"job-1","need_bytes":7})");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.text("code"), "job_differs");
  EXPECT_EQ(refused.json().at("fields").at(0).as_string(), "need_bytes");
}

TEST_F(JobsTest, TheRequestArrivesWithItsPeer) {
  admissions.answer = admitted();
  start();
  ask("POST", "/v1/jobs",
      R"({"id":"é","agent":"a","pipeline":"p","checkout_path":"/c","pid":4242,"need_bytes":1073741824,)"
      R"("builders":["s3"],"use":"s3","platforms":["linux/arm64"],"cache_name":"n","reuse_context":true,"load":false,)"
      R"("ttl_seconds":60})");
  const auto asked = on_loop([&] { return *admissions.asked; });
  EXPECT_EQ(asked.id, "é");
  EXPECT_EQ(asked.agent + asked.pipeline + asked.checkout_path + asked.use + asked.cache_name, "ap/cs3n");
  EXPECT_EQ(asked.pid, 4242);
  EXPECT_EQ(asked.need_bytes, kGiB);
  EXPECT_THAT(asked.builders, ElementsAre("s3"));
  EXPECT_THAT(asked.platforms, ElementsAre("linux/arm64"));
  EXPECT_EQ(asked.reuse_context, true);
  EXPECT_EQ(asked.load, false);
  EXPECT_EQ(asked.ttl, 60s);
  const auto peer = on_loop([&] { return *admissions.peer; });
  EXPECT_TRUE(peer.local);
  EXPECT_EQ(peer.uid, ::getuid());
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(peer.groups.at(0), ::getegid());
}

TEST_F(JobsTest, BadRequestsNameTheField) {
  start();
  const std::pair<std::string, const char*> wrong[] = {
      {"{}", "\"id\" is missing: 1 to 128 bytes"},
      {R"({"id":""})", "\"id\" is missing: 1 to 128 bytes"},
      {R"({"id":")" + std::string(129, 'a') + "\"}", "\"id\" has 129 bytes, at most 128 are allowed"},
      {R"({"id":7})", "\"id\" must be a string, not a number"},
      {R"({"id":"1","pid":0})", "\"pid\" must be a whole number from 1 to 4194304, not 0"},
      {R"({"id":"1","need_bytes":-1})", "\"need_bytes\" must be a whole number of at least 0, not -1"},
      {R"({"id":"1","builders":"s3"})", "\"builders\" must be an array of strings, not a string"},
      {R"({"id":"1","verdict":"run"})", "\"verdict\" is not known"},
  };
  for (const auto& [body, detail] : wrong) {
    const auto answer = ask("POST", "/v1/jobs", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.text("code"), "bad_field") << body;
    EXPECT_EQ(answer.text("detail"), detail) << body;
  }
  const auto answer = ask("POST", "/v1/jobs", "{\"id\":\n  x}");
  EXPECT_EQ(answer.text("code"), "bad_json");
  EXPECT_THAT(answer.text("detail"), HasSubstr("line 2, column 3"));
  EXPECT_FALSE(on_loop([&] { return admissions.asked.has_value(); }));
}

TEST_F(JobsTest, ARefusalIs507WithTheUsersOfTheDisk) {
  admissions.answer = refused();
  start();
  const auto answer = ask("POST", "/v1/jobs", R"({"id":"job-1"})");
  EXPECT_EQ(answer.status, 507);
  EXPECT_TRUE(answer.has("Content-Type: application/problem+json"));
  EXPECT_EQ(
      answer.body,
      R"({"type":"urn:buildwarden:problem:no_space","title":"Insufficient Storage","status":507,)"
      R"("detail":"1 GiB free, 5 GiB wanted","code":"no_space","id":"job-1","verdict":"refuse",)"
      R"("reason":"1 GiB free, 5 GiB wanted","rule":"not_enough","disk":[],)"
      R"("users":[{"kind":"images","name":"app:1","bytes":7,"looked_at":null}],"pause_agent":true,"images_failed":null})");
  on_loop([&] { return admissions.answer->images_failed = "the engine cannot be reached"; });
  EXPECT_THAT(ask("POST", "/v1/jobs", R"({"id":"job-1"})").body,
              HasSubstr(R"("images_failed":"the engine cannot be reached")"));
}

// Issue 14: one job that asked for too much kept the agent from all others.
TEST_F(JobsTest, OnlyARefusalThatHitsAllJobsPausesTheAgent) {
  admissions.answer = refused();
  admissions.answer->hits_all = false;
  start();
  EXPECT_THAT(ask("POST", "/v1/jobs", R"({"id":"job-1"})").body, HasSubstr("\"pause_agent\":false"));
}

TEST_F(JobsTest, WithoutAPlaceItIs503WithATimeToComeAgain) {
  admissions.answer = Error(Errc::kUnavailable, "user 2000 has 128 jobs already");
  start();
  const auto answer = ask("POST", "/v1/jobs", R"({"id":"1"})");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.text("code"), "too_many_jobs");
  EXPECT_TRUE(answer.has("Retry-After: 30"));
  const auto script = ask("POST", "/v1/jobs", R"({"id":"1"})", kScript);
  EXPECT_TRUE(script.has("Retry-After: 30"));
  EXPECT_EQ(script.body.find("exit"), std::string::npos) << "the job goes on";
}

TEST_F(JobsTest, ADeniedJobIs403) {
  admissions.answer = Error(Errc::kDenied, "pid 1 is not yours");
  start();
  const auto answer = ask("POST", "/v1/jobs", R"({"id":"1","pid":1})");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.text("code"), "denied");
}

TEST_F(JobsTest, WithAcceptTheAnswerIsAScript) {
  admissions.answer = admitted();
  start();
  const auto answer = ask("POST", "/v1/jobs", R"({"id":"job-1"})", kScript);
  EXPECT_EQ(answer.status, 201);
  EXPECT_TRUE(answer.has("Content-Type: text/x-shellscript"));
  EXPECT_THAT(answer.body, HasSubstr("export BUILDX_BUILDER='buildwarden-s3'\n"));
  on_loop([&] { admissions.answer = refused(); });
  const auto refusal = ask("POST", "/v1/jobs", R"({"id":"job-1"})", kScript);
  EXPECT_EQ(refusal.status, 507);
  EXPECT_THAT(refusal.body, HasSubstr("(exit 1)"));
}

TEST_F(JobsTest, ProblemsAreScriptsForOneWhoEvaluatesThem) {
  admissions.answer = Error(Errc::kUnavailable, "it isn't up");
  start();
  EXPECT_EQ(ask("POST", "/v1/jobs", R"({"id":"1"})", kScript).body,
            "printf '%s\\n' 'buildwarden: it isn'\\''t up' >&2\n");
  const auto wrong = ask("POST", "/v1/jobs", "{}", kScript);
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.body, "printf '%s\\n' 'buildwarden: \"id\" is missing: 1 to 128 bytes' >&2\n(exit 2)\n")
      << "1 is a refusal";
}

TEST_F(JobsTest, AnAdmissionThatTakesLongerBecomesAnOperation) {
  admissions.answer = admitted();
  admissions.closed = true;
  context.answer_within = 10ms;
  start();
  const auto accepted = ask("POST", "/v1/jobs", R"({"id":"job-1"})");
  ASSERT_EQ(accepted.status, 202);
  const auto path = "/v1/operations/" + accepted.text("operation");
  EXPECT_TRUE(accepted.has("Location: " + path));
  const auto running = get(path).json();
  EXPECT_EQ(running.at("state").as_string(), "running");
  EXPECT_EQ(running.at("kind").as_string(), "job");
  EXPECT_EQ(running.at("progress").at(0).as_string(), "making room for job-1");
  EXPECT_TRUE(running.at("result").is_null() && running.at("status").is_null() && running.at("finished_at").is_null());
  on_loop([&] { admissions.gate.notify_all(); });
  const auto done = operation_at(path).json();
  EXPECT_EQ(done.at("state").as_string(), "done");
  EXPECT_EQ(done.at("status").as_int64(), 201);
  EXPECT_EQ(done.at("result").at("verdict").as_string(), "run");
  EXPECT_EQ(done.at("finished_at").as_string(), "2026-01-01T00:00:00.000Z");
}

TEST_F(JobsTest, AWaitForAnOperationIsAnsweredWhenItEnds) {
  admissions.answer = refused();
  admissions.closed = true;
  context.answer_within = 10ms;
  start();
  const auto path = "/v1/operations/" + ask("POST", "/v1/jobs", R"({"id":"1"})").text("operation");
  auto waiting = unix_client();
  waiting.send("GET " + path + "?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n");
  on_loop([&] { admissions.gate.notify_all(); });
  EXPECT_EQ(waiting.read_answer().json().at("status").as_int64(), 507);
}

TEST_F(JobsTest, AResultIsForWhoAskedAndForRoot) {
  admissions.answer = admitted();
  admissions.closed = true;
  context.answer_within = 0ms;
  start();
  Request request;
  request.method = "POST";
  request.path = "/v1/jobs";
  request.body = R"({"id":"1"})";
  request.peer.local = true;
  request.peer.uid = 2000;
  request.peer.groups = {*context.agent_group};
  const auto call = [&] { return boost::asio::co_spawn(loop, api->handle(request), boost::asio::use_future).get(); };
  const auto path = boost::json::parse(call().body).at("operation").as_string();
  on_loop([&] { admissions.gate.notify_all(); });
  request.method = "GET";
  request.path = "/v1/operations/" + std::string(path);
  request.query["wait"] = "30";
  EXPECT_THAT(call().body, HasSubstr("buildwarden-s3"));
  request.peer.uid = 0;
  EXPECT_THAT(call().body, HasSubstr("buildwarden-s3"));
  request.peer.uid = 2001;
  EXPECT_THAT(call().body, HasSubstr("\"status\":201,\"result\":null"));
  auto tcp = tcp_client();
  tcp.send("GET " + request.path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(tcp.read_answer().body, HasSubstr("\"result\":null"));
}

TEST_F(JobsTest, OperationsAreBoundedAndForgotten) {
  limits.operations.running = {1, 1, 0};
  limits.operations.keep = 1min;
  admissions.answer = refused();
  admissions.closed = true;
  context.answer_within = 0ms;
  start();
  const auto path = "/v1/operations/" + ask("POST", "/v1/jobs", R"({"id":"1"})").text("operation");
  EXPECT_EQ(ask("POST", "/v1/jobs", R"({"id":"2"})").text("code"), "too_many_operations");
  on_loop([&] { admissions.gate.notify_all(); });
  EXPECT_EQ(operation_at(path).status, 200);
  on_loop([&] { clock.advance(2min); });
  const auto gone = get(path);
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.text("code"), "operation_unknown");
  EXPECT_EQ(get("/v1/operations/x?wait=-1").text("code"), "bad_parameter");
  EXPECT_EQ(get("/v1/operations/x?wait=61").text("code"), "bad_parameter");
}

TEST_F(JobsTest, EndingAndRenewingAreDelegatedWithTheDecodedId) {
  admissions.answer = admitted();
  start();
  const auto ended = ask("DELETE", "/v1/jobs/a%20b%2F1", "");
  EXPECT_EQ(ended.status, 204);
  EXPECT_EQ(ended.head.find("Content-Length"), std::string::npos);
  EXPECT_EQ(on_loop([&] { return admissions.touched; }), "a b/1");
  EXPECT_EQ(ask("PUT", "/v1/jobs/job-1", "").status, 200);
  EXPECT_EQ(on_loop([&] { return admissions.touched; }), "job-1");
  EXPECT_EQ(ask("PUT", "/v1/jobs/job-1", R"({"ttl_seconds":5})").text("code"), "bad_field");
}

TEST_F(JobsTest, AnUnknownJobHasItsOwnCode) {
  admissions.ended = Error(Errc::kNotFound, "job 7 is not known");
  admissions.answer = Error(Errc::kNotFound, "job 7 is not known");
  start();
  const auto ended = ask("DELETE", "/v1/jobs/7", "");
  EXPECT_EQ(ended.status, 404);
  EXPECT_EQ(ended.text("code"), "job_unknown");
  EXPECT_EQ(ask("PUT", "/v1/jobs/7", "").text("code"), "job_unknown");
  on_loop([&] { admissions.ended = Error(Errc::kDenied, "job 7 is uid 5's"); });
  EXPECT_EQ(ask("DELETE", "/v1/jobs/7", "").text("code"), "denied");
}

TEST_F(JobsTest, LeasesExpireOnTheBootClockAndAreShownAsATimeOfDay) {
  ports::Lease lease;
  lease.id = "job-1";
  lease.agent = "a-1";
  lease.uid = 2000;
  lease.builders = {"s3"};
  lease.started_wall = clock.now().wall;
  lease.started = clock.now().boot;
  lease.expires = clock.now().boot + 1h;
  views.jobs.leases = {lease};
  start();
  on_loop([&] { clock.step_wall(24h); });  // somebody sets the clock: it still expires in an hour
  EXPECT_EQ(get("/v1/jobs").body,
            R"({"jobs":[{"id":"job-1","agent":"a-1","pipeline":"","checkout_path":"","uid":2000,"pid":null,)"
            R"("builders":["s3"],"need_bytes":0,"reserved_bytes":0,"started_at":"2026-01-01T00:00:00.000Z",)"
            R"("expires_at":"2026-01-02T01:00:00.000Z"}]})");
  on_loop([&] { views.jobs.leases[0].pid = 42; });
  EXPECT_THAT(get("/v1/jobs").body, HasSubstr(R"("expires_at":null)")) << "it lasts as long as its process";
}

}  // namespace
}  // namespace buildwarden::api
