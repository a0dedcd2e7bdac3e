// What an answer looks like on the wire: numbers, tags, compression, and what OPTIONS says.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <boost/json/serialize.hpp>
#include <cstdio>
#include <limits>

#include "daemon/api/etag.h"
#include "daemon/api/json_text.h"
#include "daemon/api/server_gzip.h"
#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What gunzip makes of it, "" when it complains.
std::string gunzipped(const std::string& folder, const std::string& packed) {
  const auto path = folder + "/packed.gz";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return "";
  std::fwrite(packed.data(), 1, packed.size(), file);
  std::fclose(file);
  std::FILE* output = ::popen(("gzip -dc < '" + path + "'").c_str(), "r");
  if (output == nullptr) return "";
  std::string text;
  for (int one = std::fgetc(output); one != EOF; one = std::fgetc(output)) text += static_cast<char>(one);
  return ::pclose(output) == 0 ? text : "";
}

TEST(JsonTextTest, NumbersLookAsPeopleWriteThem) {
  const boost::json::value value = {
      0.003, 1.5, -12.25, 0.0, 3, -7, 1e16, 1e-10, 1e17, 0.1, std::numeric_limits<double>::infinity()};
  EXPECT_EQ(json_text(value), "[0.003,1.5,-12.25,0,3,-7,10000000000000000,1e-10,1e+17,0.1,null]");
}

TEST(JsonTextTest, TheRestIsAsTheLibraryHasIt) {
  const auto value = boost::json::parse(R"({"a\"b":["\u00e9\n",null,true,{}],"c":{"d":[]},"e":18446744073709551615})");
  EXPECT_EQ(json_text(value), boost::json::serialize(value));
}

TEST(GzipTest, IsTakenByNameByWildcardAndNotAgainstTheClientsWill) {
  for (const auto* yes : {"gzip", "deflate, GZIP", "br;q=1, gzip;q=0.5", "*", "x-gzip", "gzip ; q=1"}) {
    EXPECT_TRUE(accepts_gzip(yes)) << yes;
  }
  for (const auto* no : {"", "br", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "gzipped", "gzip;q=x"}) {
    EXPECT_FALSE(accepts_gzip(no)) << no;
  }
}

class FormTest : public ApiTest {
 protected:
  void many_jobs() {
    views.jobs.leases.resize(60);
    for (std::size_t i = 0; i < views.jobs.leases.size(); ++i) views.jobs.leases[i].id = "job-" + std::to_string(i);
  }
};

TEST_F(FormTest, ALongAnswerIsPackedForWhoAsksForIt) {
  many_jobs();
  start();
  const auto plain = get("/v1/jobs");
  EXPECT_TRUE(plain.has("Vary: Accept-Encoding"));
  EXPECT_THAT(plain.head, Not(HasSubstr("Content-Encoding")));
  const auto packed = get("/v1/jobs", "Accept-Encoding: gzip\r\n");
  EXPECT_TRUE(packed.has("Content-Encoding: gzip"));
  EXPECT_LT(packed.body.size(), plain.body.size() / 4);
  EXPECT_EQ(gunzipped(folder, packed.body), plain.body);
  const auto head = ask("HEAD", "/v1/jobs", "", "Accept-Encoding: gzip\r\n");
  EXPECT_TRUE(head.has("Content-Length: " + std::to_string(packed.body.size())));
  EXPECT_THAT(get("/healthz", "Accept-Encoding: gzip\r\n").head, Not(HasSubstr("Content-Encoding"))) << "it is short";
}

TEST_F(FormTest, WhatAPostAnswersIsNeverPacked) {
  ports::JobAnswer answer;
  answer.id = "1";
  answer.admitted = true;
  answer.reason = std::string(5000, 'x');
  admissions.answer = answer;
  start();
  const auto made = ask("POST", "/v1/jobs", R"({"id":"1"})", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(made.status, 201);
  EXPECT_THAT(made.head, Not(HasSubstr("Content-Encoding")));
}

TEST_F(FormTest, PackingHasBounds) {
  Request request;
  request.method = "GET";
  request.headers = {{"Accept-Encoding", "gzip"}};
  for (const auto size : {kLeastGzipped - 1, kLeastGzipped, kMostGzipped, kMostGzipped + 1}) {
    Response response;
    response.body = std::string(size, 'x');
    gzip_if_asked(request, response);
    EXPECT_EQ(response.body.size() < size, size >= kLeastGzipped && size <= kMostGzipped) << size;
  }
}

TEST_F(FormTest, WhatDidNotChangeIsNotSentAgain) {
  many_jobs();
  start();
  const auto first = get("/v1/jobs");
  const auto begin = first.head.find("ETag: ") + 6;
  ASSERT_NE(begin, std::string::npos + 6) << first.head;
  const auto etag = first.head.substr(begin, first.head.find("\r\n", begin) - begin);
  for (const auto& known : {etag, "\"x\", " + etag, etag.substr(2), std::string("*")}) {
    const auto again = get("/v1/jobs", "If-None-Match: " + known + "\r\n");
    EXPECT_EQ(again.status, 304) << known;
    EXPECT_EQ(again.body, "");
    EXPECT_TRUE(again.has("ETag: " + etag));
    EXPECT_THAT(again.head, Not(HasSubstr("Content-Length")));
  }
  on_loop([this] { views.jobs.leases.pop_back(); });
  EXPECT_EQ(get("/v1/jobs", "If-None-Match: " + etag + "\r\n").status, 200);
  EXPECT_THAT(get("/metrics").head, Not(HasSubstr("ETag")));
  EXPECT_EQ(get("/v1/jobs/none", "If-None-Match: *\r\n").status, 404) << "only of what is there";
}

// A client goes on on the same connection: of a 304 nothing may be left that it would take for the next answer.
TEST_F(FormTest, AnAnswerWithoutABodyEndsWhereItsHeadDoes) {
  start();
  auto client = unix_client();
  client.send("GET /v1/jobs HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n");
  EXPECT_EQ(client.read_answer(true).status, 304);
  client.send("OPTIONS /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_answer(true).status, 204);
  client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, R"({"status":"ok"})");
}

TEST_F(FormTest, OptionsTellWhatThisPeerCouldAskFor) {
  start();
  EXPECT_TRUE(ask("OPTIONS", "/v1/jobs", "").has("Allow: GET, HEAD, OPTIONS, POST"));
  EXPECT_TRUE(ask("OPTIONS", "/v1/jobs/1", "").has("Allow: DELETE, GET, HEAD, OPTIONS, PUT"));
  EXPECT_TRUE(ask("OPTIONS", "/v1/disk/reclaim", "").has("Allow: OPTIONS, POST"));
  EXPECT_EQ(ask("OPTIONS", "/nowhere", "").status, 404);
  const auto over_tcp = [this](const std::string& target, const std::string& host) {
    auto client = tcp_client();
    client.send("OPTIONS " + target + " HTTP/1.1\r\nHost: " + host + "\r\nOrigin: http://evil\r\n" +
                "Access-Control-Request-Method: POST\r\n\r\n");
    return client.read_answer(true);
  };
  const auto jobs = over_tcp("/v1/jobs", "localhost");
  EXPECT_EQ(jobs.status, 204);
  EXPECT_TRUE(jobs.has("Allow: GET, HEAD, OPTIONS")) << jobs.head;
  EXPECT_THAT(jobs.head, Not(HasSubstr("Access-Control"))) << "no other origin may";
  EXPECT_EQ(over_tcp("/v1/disk/reclaim", "localhost").status, 404) << "over TCP there is nothing";
  EXPECT_EQ(over_tcp("/v1/jobs", "evil.example").status, 403);
}

}  // namespace
}  // namespace buildwarden::api
