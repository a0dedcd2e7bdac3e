// The server on the wire: what it takes, what it refuses, and how connections end.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

using ServerTest = ApiTest;

constexpr const char* kStartJob = "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{\"id\":\"1\"}";

TEST_F(ServerTest, AnswersWholeOnTheUnixSocket) {
  start();
  auto client = unix_client();
  client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto answer = client.read_answer();
  EXPECT_EQ(answer.head + answer.body,
            "HTTP/1.1 200 OK\r\n"
            "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            "Cache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
            "Content-Type: application/json\r\n"
            "Content-Length: 15\r\n\r\n"
            "{\"status\":\"ok\"}");
}

TEST_F(ServerTest, AnswersAProblemWhole) {
  start();
  EXPECT_EQ(get("/nothing").body,
            "{\"type\":\"urn:buildwarden:problem:no_such_route\",\"title\":\"Not Found\",\"status\":404,"
            "\"detail\":\"there is nothing at /nothing\",\"code\":\"no_such_route\"}");
  EXPECT_TRUE(get("/nothing").has("Content-Type: application/problem+json"));
}

TEST_F(ServerTest, TheSocketIsForItsGroupAlone) {
  start();
  struct stat info{};
  ASSERT_EQ(::stat(socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0660U);
}

TEST_F(ServerTest, KeepsTheConnectionAndAnswersAPipelineInOrder) {
  start();
  auto client = tcp_client();
  std::string pipeline;
  for (int i = 0; i < 50; ++i) pipeline += "GET /healthz?" + std::to_string(i) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  client.send(pipeline + "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (int i = 0; i < 50; ++i) ASSERT_EQ(client.read_answer().status, 200) << i;
  EXPECT_EQ(client.read_answer().status, 404);
}

TEST_F(ServerTest, ClosesWhenTheClientAsksForIt) {
  start();
  auto client = unix_client();
  client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.read_answer().has("Connection: close"));
  EXPECT_TRUE(client.is_closed());
  auto old = unix_client();
  old.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.read_answer().status, 200);
  EXPECT_TRUE(old.is_closed());
}

TEST_F(ServerTest, HeadHasTheLengthButNoBody) {
  start();
  auto client = unix_client();
  client.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(client.read_answer(true).has("Content-Length: 15"));
  EXPECT_EQ(client.read_answer().body, "{\"status\":\"ok\"}");
}

TEST_F(ServerTest, ContinuesWhenTheClientWaitsForIt) {
  start();
  auto client = unix_client();
  client.send("POST /v1/disk/reclaim HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("{}");
  EXPECT_EQ(client.read_answer().text("code"), "disk_unknown");
}

struct Malformed {
  const char* name;
  std::string bytes;
  int status;
  const char* code;
};

std::vector<Malformed> malformed() {
  const std::string get = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
  const std::string post = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n";
  return {
      {"no HTTP", "\x16\x03\x01\x02garbage\r\n\r\n", 400, "bad_request"},
      {"no version", "GET /healthz\r\n\r\n", 400, "bad_request"},
      {"HTTP/3", "GET /healthz HTTP/3.0\r\n\r\n", 400, "bad_request"},
      {"a space in the target", "GET /a b HTTP/1.1\r\n\r\n", 400, "bad_request"},
      {"a bad header", "GET /healthz HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_request"},
      {"a bad length", post + "Content-Length: -1\r\n\r\n", 400, "bad_request"},
      {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400, "bad_request"},
      {"length and chunks", post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       "bad_request"},
      {"two equal lengths", post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, "bad_request"},
      {"a list of lengths", post + "Content-Length: 2, 2\r\n\r\n{}", 400, "bad_request"},
      {"a length with a sign", post + "Content-Length: +2\r\n\r\n{}", 400, "bad_request"},
      {"a hexadecimal length", post + "Content-Length: 0x2\r\n\r\n{}", 400, "bad_request"},
      {"a length that is none", post + "Content-Length: \r\n\r\n{}", 400, "bad_request"},
      {"a length beyond 64 bits", post + "Content-Length: 18446744073709551616\r\n\r\n{}", 400, "bad_request"},
      {"a blank before the colon", post + "Content-Length : 2\r\n\r\n{}", 400, "bad_request"},
      {"lines that end without CR", "GET /healthz HTTP/1.1\nHost: x\n\n\r\n\r\n", 400, "bad_request"},
      {"two hosts", get + "Host: evil.example\r\n\r\n", 400, "bad_request"},
      {"chunks", post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 411, "length_required"},
      {"chunks of no other case", post + "transfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 411, "length_required"},
      {"chunks twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"},
      {"chunks and then length", post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400,
       "bad_request"},
      {"another coding", post + "Transfer-Encoding: gzip\r\n\r\n{}", 501, "unsupported_coding"},
      {"another coding and a length", post + "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}", 501,
       "unsupported_coding"},
      {"codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "unsupported_coding"},
      {"chunks to be read", get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length_required"},
      {"a long target", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 431,
       "head_too_large"},
      {"a long header", get + "X: " + std::string(9000, 'a') + "\r\n\r\n", 431, "head_too_large"},
      {"many headers",
       [&] {
         std::string many = get;
         for (int i = 0; i < 2000; ++i) many += "X: a\r\n";
         return many + "\r\n";
       }(),
       431, "head_too_large"},
      {"a long body", post + "Content-Length: 65537\r\n\r\n" + std::string(65537, ' '), 413, "body_too_large"},
      {"a bad escape", "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"half an escape", "GET /a%2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"a bad escape in the query", "GET /healthz?a=%g1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"a tunnel", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"an unknown method", "BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method_not_allowed"},
      {"a compressed body", post + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415,
       "unsupported_encoding"},
      {"a NUL in the path", "GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"no UTF-8", "GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"a C1 character in an id", "DELETE /v1/jobs/a%c2%9b2J HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
      {"a bidirectional one", "PUT /v1/jobs/a%e2%80%ae HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 400,
       "bad_target"},
      {"one in the query", "GET /v1/events?since=%1b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_target"},
  };
}

TEST_F(ServerTest, AnswersMalformedInputWithAProblemAndLivesOn) {
  start();
  for (const auto& one : malformed()) {
    auto client = unix_client();
    client.send(one.bytes);
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.status, one.status) << one.name;
    EXPECT_EQ(answer.text("code"), one.code) << one.name;
    EXPECT_EQ(answer.json().at("status").as_int64(), one.status) << one.name;
  }
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(ServerTest, SurvivesClientsThatLeaveInTheMiddle) {
  start();
  const std::string request = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{\"id\":\"1\"}  ";
  for (std::size_t length = 0; length < request.size(); ++length) unix_client().send(request.substr(0, length));
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(ServerTest, AnAnswerToATooLongBodyArrivesOverTcp) {
  start();
  auto client = tcp_client();
  client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x'));
  EXPECT_EQ(client.read_answer().status, 413);
}

TEST_F(ServerTest, HangsUpOnAClientThatSendsNothing) {
  limits.session.idle_within = 50ms;
  limits.session.head_within = 50ms;
  start();
  auto silent = unix_client();
  EXPECT_TRUE(silent.is_closed());
  auto slow = unix_client();
  slow.send("GET /healthz HT");
  EXPECT_TRUE(slow.is_closed());
}

TEST_F(ServerTest, TcpOnlyReadsAndOnlyForGoodHosts) {
  start();
  const auto ask_tcp = [&](const std::string& line, const std::string& host) {
    auto client = tcp_client();
    client.send(line + " HTTP/1.1\r\n" + (host.empty() ? "" : "Host: " + host + "\r\n") + "\r\n");
    return client.read_answer();
  };
  EXPECT_EQ(ask_tcp("GET /v1/status", "localhost:9847").status, 200);
  EXPECT_EQ(ask_tcp("GET /metrics", "build-7").body, "buildwarden_up 1\n");
  EXPECT_EQ(ask_tcp("GET /v1/status", "evil.example").text("code"), "host_not_allowed");
  EXPECT_EQ(ask_tcp("GET /metrics", "evil.example").status, 403);
  EXPECT_EQ(ask_tcp("GET /v1/status", "").text("code"), "bad_request");
  const auto refused = ask_tcp("DELETE /v1/jobs/1", "localhost");
  EXPECT_EQ(refused.status, 405);
  EXPECT_TRUE(refused.has("Allow: GET, HEAD, OPTIONS"));
  EXPECT_EQ(ask_tcp("POST /v1/jobs", "localhost").text("code"), "read_only");
  EXPECT_EQ(on_loop([&] { return admissions.touched; }), "");
}

TEST_F(ServerTest, ATcpFloodTakesNothingFromTheUnixSocket) {
  limits.unix_connections = {1, 1, 0};
  start();
  std::vector<RawClient> flood;
  const auto many = limits.tcp_connections.places + 10;
  flood.reserve(many);
  for (std::size_t i = 0; i < many; ++i) {
    flood.push_back(tcp_client());
    flood.back().send("G");
  }
  EXPECT_EQ(get("/healthz").status, 200);
  // The newest is served, too: the one that idled the longest had to go.
  flood.back().send("ET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(flood.back().read_answer().status, 200);
  EXPECT_TRUE(flood.front().is_closed());
}

TEST_F(ServerTest, WhereAllConnectionsAreBusyANewOneIsTurnedAway) {
  limits.unix_connections = {3, 3, 0};
  admissions.closed = true;
  context.answer_within = 1min;
  start();
  std::vector<RawClient> busy;
  for (std::size_t i = 0; i < limits.unix_connections.places; ++i) {
    busy.push_back(unix_client());
    busy.back().send(kStartJob);
    while (on_loop([&] { return admissions.starts; }) <= i) std::this_thread::yield();
  }
  auto late = unix_client();
  const auto answer = late.read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.text("code"), "too_many_connections");
  EXPECT_TRUE(answer.has("Retry-After: 1"));
  EXPECT_TRUE(late.is_closed());
  on_loop([&] { admissions.gate.notify_all(); });
  for (auto& client : busy) EXPECT_EQ(client.read_answer().status, 400);
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(ServerTest, StopsCleanly) {
  start();
  auto idle = unix_client();
  idle.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(idle.read_answer().status, 200);
  const auto begun = std::chrono::steady_clock::now();
  stop(1min);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 1min);  // an idle connection is not waited for
  EXPECT_TRUE(idle.is_closed());
  EXPECT_FALSE(std::filesystem::exists(socket()));
  EXPECT_FALSE(tcp_client().connected());
}

TEST_F(ServerTest, ReplacesAStaleSocketButNotALiveOneNorAFile) {
  start();
  EXPECT_EQ(listen_unix(socket(), std::nullopt).error().code(), Errc::kConflict);
  EXPECT_EQ(get("/healthz").status, 200);
  const auto stale = folder + "/stale/api.sock";
  {
    const auto left = listen_unix(stale, std::nullopt);
    ASSERT_TRUE(left.ok());
  }
  ASSERT_TRUE(std::filesystem::exists(stale));  // its owner died without removing it
  const auto again = listen_unix(stale, std::nullopt);
  ASSERT_TRUE(again.ok()) << again.error().message();
  again->file.remove();
  EXPECT_FALSE(std::filesystem::exists(stale));
  std::ofstream(folder + "/file") << "precious";
  EXPECT_EQ(listen_unix(folder + "/file", std::nullopt).error().code(), Errc::kConflict);
  EXPECT_EQ(std::filesystem::file_size(folder + "/file"), 8U);
  EXPECT_EQ(listen_unix(folder + "/" + std::string(200, 'a'), std::nullopt).error().code(), Errc::kInvalid);
}

TEST_F(ServerTest, ASocketFileOfAnotherIsNotRemoved) {
  start();
  std::filesystem::remove(socket());
  const auto successor = listen_unix(socket(), std::nullopt);
  ASSERT_TRUE(successor.ok());
  stop();
  EXPECT_TRUE(std::filesystem::exists(socket()));
}

TEST_F(ServerTest, ASocketThatAnotherBoundIsGivenToTheGroup) {
  start();
  constexpr gid_t kGroup = 4242;
  ASSERT_EQ(::chmod(socket().c_str(), 0600), 0);
  ASSERT_TRUE(give_to_group(socket(), kGroup).ok());
  struct stat info{};
  ASSERT_EQ(::stat(socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_gid, kGroup);
  EXPECT_EQ(info.st_mode & 07777, 0660U);
  EXPECT_TRUE(give_to_group("@abstract", kGroup).ok()) << "has no file";
  EXPECT_EQ(give_to_group(socket() + "/none", kGroup).ok(), false);
}

TEST_F(ServerTest, TcpAddressesAreCheckedAndTakenOnesReported) {
  start();
  for (const auto* bad : {"", "9847", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x", "::1:80",
                          "[127.0.0.1]:80", "example.org:80", ":80"}) {
    const auto opened = listen_tcp(bad);
    ASSERT_FALSE(opened.ok()) << bad;
    EXPECT_EQ(opened.error().code(), Errc::kInvalid) << bad;
  }
  EXPECT_EQ(listen_tcp("127.0.0.1:" + std::to_string(port)).error().code(), Errc::kConflict);
  EXPECT_TRUE(listen_tcp("localhost:0").ok());
}

TEST_F(ServerTest, ARunningRequestIsAnsweredBeforeTheStop) {
  admissions.closed = true;
  admissions.answer = ports::JobAnswer{};
  context.answer_within = 1min;
  start();
  auto client = unix_client();
  client.send(kStartJob);
  while (!on_loop([&] { return admissions.asked.has_value(); })) std::this_thread::yield();
  auto stopped = boost::asio::co_spawn(loop, api->stop(1min), boost::asio::use_future);
  on_loop([&] { admissions.gate.notify_all(); });
  stopped.get();
  const auto answer = client.read_answer();
  EXPECT_EQ(answer.status, 507);  // an empty answer is a refusal
  EXPECT_TRUE(answer.has("Connection: close"));
}

TEST_F(ServerTest, WhatDoesNotEndIsCancelledAtTheStop) {
  admissions.closed = true;
  context.answer_within = 1min;
  start();
  auto client = unix_client();
  client.send(kStartJob);
  while (!on_loop([&] { return admissions.asked.has_value(); })) std::this_thread::yield();
  stop(20ms);
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(admissions.cancelled, 1);
}

TEST_F(ServerTest, AHandlerThatThrowsIsAProblemToo) {
  context.metrics_text = []() -> std::string { throw std::runtime_error("secret detail"); };
  start();
  const auto answer = get("/metrics");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.text("code"), "internal");
  EXPECT_THAT(answer.body, Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace buildwarden::api
