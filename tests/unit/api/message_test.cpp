#include "daemon/api/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(ParseTarget, DecodesPathAndQuery) {
  const auto target = parse_target("/v1/jobs/a%20b%2Fc?since=5&x=%26%3d&flag&=1&x=2");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->path, "/v1/jobs/a b/c");
  EXPECT_THAT(target->query, ElementsAre(Pair("flag", ""), Pair("since", "5"), Pair("x", "2")));
}

TEST(ParseTarget, TakesTheAbsoluteForm) {
  EXPECT_EQ(parse_target("http://localhost:9847/healthz?a=1")->path, "/healthz");
  EXPECT_EQ(parse_target("http://localhost")->path, "/");
  EXPECT_EQ(parse_target("http://localhost?a=1").ok(), false);
}

TEST(ParseTarget, RefusesWhatIsNoPath) {
  for (const auto* bad : {"", "*", "a/b", "/%", "/%1", "/%zz", "/?%", "/?a=%q1"}) {
    EXPECT_FALSE(parse_target(bad).ok()) << bad;
  }
}

TEST(Request, FindsHeadersWithoutCase) {
  Request request;
  request.headers = {{"Accept", "text/html;q=0.5, Text/Event-Stream ; q=1"}, {"X", "1"}};
  EXPECT_EQ(request.header("x"), "1");
  EXPECT_EQ(request.header("y"), "");
  EXPECT_TRUE(request.accepts("text/event-stream"));
  EXPECT_FALSE(request.accepts("text/event"));
  EXPECT_FALSE(request.accepts("application/json"));
}

TEST(HttpDate, IsAsRfc9110WritesIt) {
  const std::chrono::sys_days day{std::chrono::year{1994} / 11 / 6};
  EXPECT_EQ(http_date(WallTime{day} + std::chrono::seconds{31777}), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(Problem, OfAnErrorHasTheStatusThatFits) {
  const std::pair<Errc, int> expected[] = {{Errc::kInvalid, 400},  {Errc::kNotFound, 404}, {Errc::kConflict, 409},
                                           {Errc::kDenied, 403},   {Errc::kTimeout, 504},  {Errc::kUnavailable, 503},
                                           {Errc::kProtocol, 502}, {Errc::kTooLarge, 413}, {Errc::kCancelled, 503},
                                           {Errc::kIo, 500}};
  for (const auto& [code, status] : expected) EXPECT_EQ(problem(Error(code, "x")).status, status);
  EXPECT_EQ(problem(Error(Errc::kNotFound, "job 1 is \"gone\"\n"), "job_unknown").body,
            "{\"type\":\"urn:buildwarden:problem:job_unknown\",\"title\":\"Not Found\",\"status\":404,"
            "\"detail\":\"job 1 is \\\"gone\\\"\\n\",\"code\":\"job_unknown\"}");
}

}  // namespace
}  // namespace buildwarden::api
