// Clients that mean harm, on the wire: what they send is bounded byte by byte, what they leave open ends, and others
// are served meanwhile (issue 14).
#include <gmock/gmock.h>
#include <poll.h>

#include "tests/support/thread_as_user.h"
#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr uid_t kJobs = 2000;
constexpr const char* kHalfBody = "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"id\":";
constexpr const char* kHealth = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr const char* kFollow = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

class HostileTest : public ApiTest {
 protected:
  void start() {
    context.http_failed = [this](std::string_view reason) { failures.emplace_back(reason); };
    ApiTest::start();
    std::filesystem::permissions(folder, std::filesystem::perms(0755));
  }
  [[nodiscard]] RawClient job_client(uid_t uid = kJobs) const {
    const testing::ThreadAsUser job(uid, ::getegid());
    return unix_client();
  }
  std::vector<std::string> counted() {
    return on_loop([this] { return failures; });
  }
  // Whether it is closed, while it sends a byte each millisecond or so.
  static bool is_closed_while_it_drips(RawClient& client) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < end) {
      if (!client.send("a")) return true;
      ::poll(nullptr, 0, 1);
    }
    return false;
  }

  std::vector<std::string> failures;  // on the loop
};

TEST_F(HostileTest, NoTrailerAndNoChunkExtensionIsEverRead) {
  start();
  const std::string head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string trailer = "0\r\nX: " + std::string(65'534, 'a') + "\r\n\r\n";
  const std::string extension = "1;" + std::string(200'000, 'a');
  for (const auto& rest : {trailer, extension, std::string("1\r\na\r\n0\r\n\r\n")}) {
    for (auto client : {0, 1}) {
      auto hostile = client == 0 ? unix_client() : tcp_client();
      hostile.send(head + rest);
      EXPECT_EQ(hostile.read_answer().text("code"), "length_required");
      EXPECT_TRUE(hostile.is_closed());
    }
  }
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(HostileTest, AHeadIsBoundedHoweverItComes) {
  start();
  auto client = unix_client();
  client.send("GET /healthz HTTP/1.1\r\n");
  // One whole line at a time: a parser that takes each as it comes never sees more than one.
  for (std::size_t sent = 0; sent < 64 * 1024 && client.send("X-Field: 0123456789\r\n"); sent += 21) {
    if (!on_loop([] { return true; })) break;
  }
  EXPECT_EQ(client.read_answer().status, 431);
}

TEST_F(HostileTest, OverTcpNothingWaitsForABody) {
  start();
  for (const auto* method : {"POST", "PUT", "DELETE", "PATCH", "BREW"}) {
    auto client = tcp_client();
    client.send(std::string(method) + " /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n");
    EXPECT_EQ(client.read_answer().text("code"), "read_only") << method;
    EXPECT_TRUE(client.is_closed()) << method;
  }
  auto asker = tcp_client();
  asker.send("OPTIONS /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n");
  EXPECT_EQ(asker.read_answer().status, 413);
  EXPECT_TRUE(asker.is_closed());
  auto reader = tcp_client();
  reader.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(reader.read_answer().text("code"), "body_too_large");
}

TEST_F(HostileTest, WhoMayNotAskIsToldBeforeTheBody) {
  context.agent_group.reset();
  start();
  auto client = job_client();
  client.send(kHalfBody);
  EXPECT_EQ(client.read_answer().text("code"), "denied");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HostileTest, AByteNowAndThenMakesNoDeadlineLonger) {
  limits.session.head_within = 100ms;
  limits.session.body_within = 100ms;
  start();
  auto head = unix_client();
  EXPECT_TRUE(is_closed_while_it_drips(head));
  auto body = unix_client();
  body.send(kHalfBody);
  EXPECT_TRUE(is_closed_while_it_drips(body));
  EXPECT_THAT(counted(), Contains("late").Times(2));
}

TEST_F(HostileTest, RootIsServedWhateverOneUserHoldsOpen) {
  start();
  std::vector<RawClient> held;
  for (int i = 0; i < 256; ++i) {
    held.push_back(job_client());
    held.back().send(kHalfBody);
  }
  for (int i = 0; i < 128; ++i) {
    held.push_back(tcp_client());
    held.back().send("GET /healthz HT");
  }
  for (int i = 0; i < 32; ++i) {
    held.push_back(job_client());
    held.back().send(kFollow);
  }
  EXPECT_EQ(get("/healthz").status, 200);
  auto scrape = tcp_client();
  scrape.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(scrape.read_answer().status, 200);
  auto follower = unix_client();
  follower.send(kFollow);
  EXPECT_THAT(follower.read_until("\r\n\r\n"), HasSubstr("200 OK"));
  auto another = job_client(3000);
  another.send(kHealth);
  EXPECT_EQ(another.read_answer().status, 200);
  auto newest = job_client();
  newest.send(kHealth);
  EXPECT_EQ(newest.read_answer().status, 200) << "the oldest half-sent one of the same user went";
  EXPECT_THAT(counted(), Contains("evicted"));
}

TEST_F(HostileTest, NoUserTakesAllOperations) {
  admissions.closed = true;
  context.answer_within = 0ms;
  limits.operations.running = {3, 2, 1};
  start();
  const auto start_job = [](RawClient client) {
    client.send("POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{\"id\":\"1\"}");
    return client.read_answer();
  };
  EXPECT_EQ(start_job(job_client()).status, 202);
  EXPECT_EQ(start_job(job_client()).status, 202);
  const auto refused = start_job(job_client());
  EXPECT_EQ(refused.text("code"), "too_many_operations");
  EXPECT_TRUE(refused.has("Retry-After: 5"));
  EXPECT_EQ(start_job(job_client(3000)).status, 503) << "what is left is root's";
  EXPECT_EQ(start_job(unix_client()).status, 202);
  on_loop([&] { admissions.gate.notify_all(); });
}

TEST_F(HostileTest, AnswersThatNobodyTakesAreFewAndEnd) {
  context.config_json = [] { return std::string(8'000'000, ' '); };
  limits.session.slow_readers = {2, 1, 1};
  limits.session.written_within = 2s;  // for 8 MB to who takes them, on a busy machine
  start();
  const std::string big = "GET /v1/config HTTP/1.1\r\nHost: localhost\r\n\r\n";
  auto first = job_client();
  first.send(big);
  EXPECT_EQ(first.read_until("\r\n\r\n").substr(0, 15), "HTTP/1.1 200 OK");
  auto second = job_client();
  second.send(big);
  second.read_until("\r\n\r\n");
  EXPECT_TRUE(second.is_closed());
  EXPECT_THAT(counted(), Contains("slow_reader"));
  auto root = unix_client();
  root.send(big);
  EXPECT_EQ(root.read_answer().body.size(), 8'000'000U) << "it takes its answer, in pieces";
  while (counted().back() != "late") std::this_thread::yield();
  EXPECT_TRUE(first.is_closed());
}

TEST_F(HostileTest, AnExceptionEndsItsConnectionAlone) {
  struct Throwing : FakeEvents {
    [[nodiscard]] std::vector<ports::RecordedEvent> since(std::uint64_t, std::size_t) const override {
      throw std::runtime_error("a mistake");
    }
  } throwing;
  context.events = &throwing;
  context.metrics_text = []() -> std::string { throw std::runtime_error("another one"); };
  start();
  auto follower = unix_client();
  follower.send(kFollow);
  EXPECT_THAT(follower.read_until("\r\n\r\n"), HasSubstr("200 OK"));
  EXPECT_TRUE(follower.is_closed());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get("/metrics").status, 500);
  const auto all = counted();
  EXPECT_THAT(all, Contains("connection").Times(1));
  EXPECT_THAT(all, Contains("handler").Times(100));
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(HostileTest, AFollowerThatTalksIsHungUpOn) {
  start();
  auto follower = unix_client();
  follower.send(kFollow);
  follower.read_until("\r\n\r\n");
  for (int i = 0; i < 1000 && follower.send(std::string(512, 'a')); ++i) {
  }
  EXPECT_TRUE(follower.is_closed());
}

}  // namespace
}  // namespace buildwarden::api
