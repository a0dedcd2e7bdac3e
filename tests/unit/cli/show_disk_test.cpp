// `buildwarden disk`: who has the disk, and what goes next.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/format.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const char* const kDisk = R"({"filesystems":[{"mount":"/","level":"ok","gate":true,"free_bytes":1048576,
  "total_bytes":4194304,"marks":{},"users":[{"kind":"volume","name":"db","bytes":1048576,"looked_at":null}],
  "unattributed_bytes":2097152}]})";

std::string step(int place, const std::string& why) {
  return format(R"({{"rung":"build_cache","what":"app:{}","reported_bytes":1048576,"shared_bytes":2097152,)"
                R"("last_used_at":"2026-01-01T00:00:00.000Z","why":{},"place":{}}})",
                place, why, place);
}

// A daemon that answers the plan with this.
ClientRun shown(const std::string& plan, std::vector<std::string> arguments = {"disk"}) {
  ClientWorld world;
  const ScriptedDaemon daemon(world.socket(), [&](const SeenRequest& request) {
    return request.line().find("/plan") == std::string::npos ? http_answer(200, kDisk) : plan;
  });
  return world.run(std::move(arguments));
}

TEST(ShowDisk, SaysWhoHasItAndWhatGoesNextInOneTable) {
  const auto run = shown(http_answer(
      200, R"({"complete":true,"left_off":0,"steps":[)" + step(1, R"("would cost 12 s")") + "," + step(2, "null") +
               R"(],"kept_left_off":3,"kept":[{"rung":"images","what":"base:1","size_bytes":3145728,
                  "reason":"in use by container web"}]})"));
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("MOUNT  USER          NAME                              SIZE     SEEN\n"
                                       "/      volume        db                                1.0 MiB  -\n"),
                             HasSubstr("/      unattributed  not Docker's, and root's reserve  2.0 MiB  -\n")));
  EXPECT_THAT(
      run.out,
      HasSubstr("KIND         NAME    SIZE     GIVES BACK  LAST USED                 NEXT\n"
                "build cache  app:1   3.0 MiB  1.0 MiB     2026-01-01T00:00:00.000Z  1: would cost 12 s\n"
                "build cache  app:2   3.0 MiB  1.0 MiB     2026-01-01T00:00:00.000Z  2\n"
                "images       base:1  3.0 MiB  -           -                         stays: in use by container web\n"
                "...          3 more                                                 stay\n"));
  EXPECT_THAT(run.out, Not(HasSubstr("could be listed")));
}

TEST(ShowDisk, OfManyShowsTheFirstAndTheLast) {
  std::string steps;
  for (int i = 1; i <= 90; ++i) steps += step(i, "null") + ",";
  for (int i = 111; i <= 120; ++i) steps += step(i, "null") + (i == 120 ? "" : ",");
  const auto run = shown(http_answer(200, R"({"complete":false,"left_off":20,"steps":[)" + steps + R"(],"kept":[]})"));
  EXPECT_THAT(run.out, AllOf(HasSubstr("app:15 "), Not(HasSubstr("app:16 ")), HasSubstr("100 more"),
                             Not(HasSubstr("app:115 ")), HasSubstr("app:116 "), HasSubstr("app:120 ")));
  EXPECT_THAT(run.out, HasSubstr("not everything could be listed"));
}

TEST(ShowDisk, WithoutAPlanSaysWhyAndShowsTheRest) {
  const auto run = shown(http_answer(503, R"({"detail":"no filesystem could be measured"})"));
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("volume"), HasSubstr("what goes next is not known: no filesystem could be measured\n")));
}

TEST(ShowDisk, AsJsonIsTheDaemonsAnswerAlone) {
  ClientWorld world;
  std::string asked;
  const ScriptedDaemon daemon(world.socket(), [&](const SeenRequest& request) {
    asked += request.line() + "\n";
    return http_answer(200, kDisk);
  });
  EXPECT_EQ(world.run({"disk", "--json"}).out, std::string(kDisk) + "\n");
  EXPECT_EQ(asked, "GET /v1/disk HTTP/1.1\n");
}

}  // namespace
}  // namespace buildwarden::testing
