#include "common/http_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <fstream>

#include "tests/support/fake_http_server.h"
#include "tests/support/loop.h"

namespace buildwarden {
namespace {

using namespace std::chrono_literals;
using testing::Background;
using testing::FakeAnswer;
using testing::FakeHttpServer;
using testing::run_on;
using testing::run_until;

HttpRequest get(std::string target) {
  HttpRequest request;
  request.target = std::move(target);
  return request;
}

class HttpClientTest : public ::testing::Test {
 protected:
  Result<HttpResponse> send(HttpRequest request, HttpLimits limits = {}) {
    return run_on(loop_, HttpClient(server_.path()).send(std::move(request), limits));
  }
  Errc error_of(HttpRequest request, HttpLimits limits = {}) {
    const auto response = send(std::move(request), limits);
    EXPECT_FALSE(response) << "status " << (response ? response->status : 0);
    return response ? Errc::kInvalid : response.error().code();
  }
  std::unique_ptr<HttpStream> open(const std::string& target) {
    auto stream = run_on(loop_, HttpClient(server_.path()).open(get(target), {}));
    EXPECT_TRUE(stream) << stream.error().message();
    return stream ? *std::move(stream) : nullptr;
  }

  boost::asio::io_context loop_;
  FakeHttpServer server_{loop_};
};

TEST_F(HttpClientTest, GivesStatusHeadersAndBody) {
  server_.on("GET /thing", FakeAnswer::json(418, "short and stout", "X-Odd: yes\r\n"));
  const auto response = send(get("/thing?a=b"));
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 418);
  EXPECT_EQ(response->body, "short and stout");
  EXPECT_EQ(response->header("x-oDD"), "yes");
  EXPECT_EQ(response->header("absent"), "");
  ASSERT_EQ(server_.requests().size(), 1U);
  EXPECT_EQ(server_.requests()[0].line, "GET /thing?a=b HTTP/1.1");
  EXPECT_NE(server_.requests()[0].head.find("\r\nHost: localhost\r\n"), std::string::npos);
}

TEST_F(HttpClientTest, SendsHeadersAndBody) {
  server_.on("POST /", FakeAnswer::json(201, ""));
  auto request = get("/");
  request.method = "POST";
  request.headers.emplace_back("X-Registry-Auth", "e30=");
  request.body = std::string(300'000, 'x') + "end";
  const auto sent = request.body;
  const auto response = send(std::move(request));
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 201);
  EXPECT_NE(server_.requests().at(0).head.find("\r\nX-Registry-Auth: e30=\r\n"), std::string::npos);
  EXPECT_EQ(server_.requests().at(0).body, sent);
}

TEST_F(HttpClientTest, StreamsAFile) {
  const auto path = server_.folder() + "/archive";
  const std::string content(700'001, 'a');
  std::ofstream(path) << content;
  server_.on("POST /load", FakeAnswer::json(200, "{}"));
  auto request = get("/load");
  request.method = "POST";
  request.body_file = path;
  const auto response = send(std::move(request));
  ::unlink(path.c_str());
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(server_.requests().at(0).body, content);
}

TEST_F(HttpClientTest, ReadsAnAnswerThatComesBeforeTheFileIsSent) {
  const auto path = server_.folder() + "/archive";
  std::ofstream(path) << std::string(4'000'000, 'a');
  // Answers after the head alone, then closes with the rest unread.
  auto full = FakeAnswer::json(507, "full");
  full.early = true;
  server_.on("POST /load", full);
  auto request = get("/load");
  request.method = "POST";
  request.body_file = path;
  const auto response = send(std::move(request));
  ::unlink(path.c_str());
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 507);
  EXPECT_LT(server_.requests().at(0).body.size(), 4'000'000U);
}

TEST_F(HttpClientTest, SaysThatAFileIsMissing) {
  auto request = get("/load");
  request.method = "POST";
  request.body_file = server_.folder() + "/absent";
  EXPECT_EQ(error_of(std::move(request)), Errc::kNotFound);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(HttpClientTest, ReadsChunksAndBodiesWithoutALength) {
  server_.on("GET /chunked", FakeAnswer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                             "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n"));
  server_.on("GET /closing", FakeAnswer::raw("HTTP/1.1 200 OK\r\n\r\nall until the end"));
  server_.on("GET /empty", FakeAnswer::raw("HTTP/1.1 204 No Content\r\n\r\n", FakeAnswer::Then::kHold));
  EXPECT_EQ(send(get("/chunked"))->body, "hello, world");
  EXPECT_EQ(send(get("/closing"))->body, "all until the end");
  EXPECT_EQ(send(get("/empty"))->status, 204);
}

TEST_F(HttpClientTest, AnswerToHeadHasNoBody) {
  server_.on("HEAD /", FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", FakeAnswer::Then::kHold));
  auto request = get("/");
  request.method = "HEAD";
  const auto response = send(std::move(request));
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->header("content-length"), "99");
}

TEST_F(HttpClientTest, NobodyThereIsUnavailable) {
  server_.stop();
  EXPECT_EQ(error_of(get("/")), Errc::kUnavailable);  // a socket's file that nobody listens to
  ::unlink(server_.path().c_str());
  const auto absent = send(get("/"));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code(), Errc::kUnavailable);
  EXPECT_EQ(absent.error().message(), "connecting to " + server_.path() + ": No such file or directory");
}

TEST_F(HttpClientTest, APathThatNoSocketCanHaveIsInvalid) {
  const auto response = run_on(loop_, HttpClient(std::string(200, 'p')).send(get("/"), {}));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code(), Errc::kInvalid);
}

TEST_F(HttpClientTest, BrokenConnectionsAreUnavailable) {
  server_.on("GET /nothing", FakeAnswer::raw(""));
  server_.on("GET /half-head", FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Len"));
  server_.on("GET /half-body", FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
  server_.on("GET /half-chunk", FakeAnswer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"));
  for (const auto* target : {"/nothing", "/half-head", "/half-body", "/half-chunk"}) {
    EXPECT_EQ(error_of(get(target)), Errc::kUnavailable) << target;
  }
  server_.reset_all();
  EXPECT_EQ(error_of(get("/reset")), Errc::kUnavailable);
}

TEST_F(HttpClientTest, GarbageIsAProtocolError) {
  server_.on("GET /text", FakeAnswer::raw("I am not a server\r\n\r\n"));
  server_.on("GET /zero", FakeAnswer::raw(std::string(20'000, '\0')));
  server_.on("GET /status", FakeAnswer::raw("HTTP/1.1 abc OK\r\n\r\n"));
  server_.on("GET /chunk", FakeAnswer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"));
  server_.on("GET /header", FakeAnswer::raw("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"));
  for (const auto* target : {"/text", "/zero", "/status", "/chunk", "/header"}) {
    EXPECT_EQ(error_of(get(target)), Errc::kProtocol) << target;
  }
}

TEST_F(HttpClientTest, ABodyAboveTheLimitIsTooLarge) {
  HttpLimits limits;
  limits.max_body = 10;
  server_.on("GET /exact", FakeAnswer::json(200, "0123456789"));
  server_.on("GET /more", FakeAnswer::json(200, "01234567890"));
  server_.on("GET /chunks",
             FakeAnswer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n"));
  server_.on("GET /claim", FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n"));
  EXPECT_EQ(send(get("/exact"), limits)->body, "0123456789");
  for (const auto* target : {"/more", "/chunks", "/claim"}) {
    EXPECT_EQ(error_of(get(target), limits), Errc::kTooLarge) << target;
  }
}

TEST_F(HttpClientTest, AnEndlessBodyEndsAtTheLimit) {
  server_.on("GET /", FakeAnswer::raw("HTTP/1.1 200 OK\r\n\r\n", FakeAnswer::Then::kRepeat));
  HttpLimits limits;
  limits.max_body = kMiB;
  EXPECT_EQ(error_of(get("/"), limits), Errc::kTooLarge);
}

TEST_F(HttpClientTest, TheDeadlineEndsEveryStage) {
  server_.on("GET /silent", FakeAnswer::hang());
  server_.on("GET /head",
             FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", FakeAnswer::Then::kHold));
  HttpLimits limits;
  limits.deadline = 50ms;
  EXPECT_EQ(error_of(get("/silent"), limits), Errc::kTimeout);
  EXPECT_EQ(error_of(get("/head"), limits), Errc::kTimeout);
}

// A listener that never accepts: first its queue takes the connection, then it is full.
TEST_F(HttpClientTest, AListenerThatNeverAcceptsIsATimeout) {
  const auto path = server_.folder() + "/deaf";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int deaf = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(deaf, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(deaf, 0), 0);
  HttpLimits limits;
  limits.deadline = 50ms;
  // The queue holds one more than its size; held streams keep the places taken.
  const int first = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(first, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const auto response = run_on(loop_, HttpClient(path).send(get("/"), limits));
  ::close(first);
  ::close(deaf);
  ::unlink(path.c_str());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code(), Errc::kTimeout) << response.error().message();
}

TEST_F(HttpClientTest, WhatWouldBreakOutOfItsLineIsInvalid) {
  EXPECT_EQ(error_of(get("/a b")), Errc::kInvalid);
  EXPECT_EQ(error_of(get("/a\r\nX: y")), Errc::kInvalid);
  auto request = get("/");
  request.headers.emplace_back("X", "a\r\nb: c");
  EXPECT_EQ(error_of(std::move(request)), Errc::kInvalid);
  EXPECT_TRUE(server_.requests().empty());
}

boost::asio::awaitable<void> send_into(std::string path, std::optional<Errc>* code) {
  HttpLimits limits;
  limits.deadline = 1h;
  auto response = co_await HttpClient(std::move(path)).send(get("/"), limits);
  if (!response) *code = response.error().code();
}

TEST_F(HttpClientTest, CancellationEndsAnExchangeAtOnce) {
  server_.on("GET /", FakeAnswer::hang());
  std::optional<Errc> code;
  Background exchange(loop_, send_into(server_.path(), &code));
  run_until(loop_, [&] { return server_.held("GET /") == 1; });
  exchange.cancel();
  run_until(loop_, [&] { return exchange.ended(); });
}

TEST_F(HttpClientTest, AStreamGivesLinesAsTheyCome) {
  server_.on("GET /events", FakeAnswer::stream());
  auto stream = open("/events");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->head().status, 200);
  server_.push("GET /events", "one\ntw");
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "one");
  server_.push("GET /events", "o\r\n\nfour\n");
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "two");
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "");
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "four");
}

TEST_F(HttpClientTest, AStreamGoesOnAfterATimeout) {
  server_.on("GET /events", FakeAnswer::stream());
  auto stream = open("/events");
  ASSERT_NE(stream, nullptr);
  server_.push("GET /events", "ha");
  const auto nothing = run_on(loop_, stream->next_line(30ms));
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code(), Errc::kTimeout);
  server_.push("GET /events", "lf\n");
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "half");
}

TEST_F(HttpClientTest, AStreamThatBreaksIsUnavailableAndNotComplete) {
  server_.on("GET /chunks",
             FakeAnswer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n3\r\nt"));
  auto stream = open("/chunks");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "one");
  const auto broken = run_on(loop_, stream->next_line(5s));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), Errc::kUnavailable);
  EXPECT_FALSE(stream->complete());
}

TEST_F(HttpClientTest, AStreamThatEndsProperlyIsComplete) {
  server_.on(
      "GET /chunks",
      FakeAnswer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n3\r\ntwo\r\n0\r\n\r\n"));
  auto stream = open("/chunks");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "one");
  EXPECT_FALSE(stream->complete());
  EXPECT_EQ(*run_on(loop_, stream->next_line(5s)), "two");
  const auto ended = run_on(loop_, stream->next_line(5s));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code(), Errc::kUnavailable);
  EXPECT_TRUE(stream->complete());
}

TEST_F(HttpClientTest, ALineWithoutEndIsTooLarge) {
  server_.on("GET /",
             FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + std::string(2'000'000, 'x'),
                             FakeAnswer::Then::kHold));
  auto stream = open("/");
  ASSERT_NE(stream, nullptr);
  const auto line = run_on(loop_, stream->next_line(5s));
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code(), Errc::kTooLarge);
}

TEST_F(HttpClientTest, AStreamsHeadHasADeadline) {
  server_.on("GET /", FakeAnswer::hang());
  HttpLimits limits;
  limits.deadline = 50ms;
  const auto stream = run_on(loop_, HttpClient(server_.path()).open(get("/"), limits));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code(), Errc::kTimeout);
}

}  // namespace
}  // namespace buildwarden
