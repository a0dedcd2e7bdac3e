// What hurts, alike on the page, in the status and in /readyz.
#include "daemon/api/attention.h"

#include <gmock/gmock.h>

#include "daemon/api/page.h"
#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSentence = "No new jobs: 100.0 MiB free on /data, 300.0 MiB needed; 2.20 GiB is not Docker's";

ports::FilesystemSnapshot full(const Now& now) {
  ports::FilesystemSnapshot disk;
  disk.mount = "/data";
  disk.gate = true;
  policy::Reading reading;
  reading.free = 100 * kMiB;
  reading.total = 100 * kMiB + kGiB + static_cast<Bytes>(2.2 * kGiB);
  reading.at = now;
  disk.reading = reading;
  disk.marks.critical = 300 * kMiB;
  disk.pressure.level = policy::Level::kCritical;
  disk.users = {{"images", "app", kGiB}};
  return disk;
}

class AttentionTest : public ApiTest {
 protected:
  AttentionTest() { views.disk.filesystems = {full(clock.now())}; }
  [[nodiscard]] std::string told() const {
    const auto all = attention_of(views.disk);
    return all.empty() ? "" : all.front().reason;
  }
};

TEST_F(AttentionTest, AFullDiskIsSaidWithWhatItMeans) {
  EXPECT_EQ(told(), kSentence);
  views.disk.reclaiming = true;
  EXPECT_EQ(told(), std::string(kSentence) + "; space is being made now");
  views.disk.filesystems[0].users.clear();
  EXPECT_THAT(told(), Not(HasSubstr("Docker"))) << "whose it is nobody has asked yet";
}

TEST_F(AttentionTest, TheLargestFolderIsNamedWhereItIsKnown) {
  views.disk.filesystems[0].users.push_back({"folder", "/srv", 5 * kMiB});
  views.disk.filesystems[0].users.push_back({"folder", "/var/log", kGiB});
  EXPECT_EQ(told(), std::string(kSentence) + ", 1.00 GiB of it in /var/log");
}

TEST_F(AttentionTest, InodesCountAndLowDoesNot) {
  auto& disk = views.disk.filesystems[0];
  disk.reading->free = 300 * kMiB;
  EXPECT_EQ(told(), "") << "a job that needs nothing starts with exactly that";
  disk.reading->total_inodes = 100;
  disk.reading->free_inodes = 4;
  disk.marks.critical_inodes = 5;
  EXPECT_THAT(told(), HasSubstr("No new jobs: 4 inodes free on /data, 5 needed"));
}

TEST_F(AttentionTest, WhatIsNotKnownOrDoesNotGateIsNoAlarm) {
  auto& disk = views.disk.filesystems[0];
  disk.error = "no answer";
  EXPECT_EQ(told(), "");
  disk.error.clear();
  disk.gate = false;
  EXPECT_EQ(told(), "");
}

TEST_F(AttentionTest, PageStatusAndReadinessSayTheSame) {
  start();
  const auto ready = get("/readyz");
  EXPECT_EQ(ready.status, 200) << "the daemon does what it is there for";
  const auto reason_in = [](const boost::json::value& body) {
    return std::string(body.at("attention").at(0).at("reason").as_string());
  };
  EXPECT_EQ(reason_in(ready.json()), kSentence);
  EXPECT_EQ(reason_in(get("/v1/status").json()), kSentence);
  const auto page = get("/").body;
  EXPECT_THAT(page, AllOf(HasSubstr(escape_html(kSentence)), HasSubstr(">no new jobs</span>"),
                          HasSubstr("<b class=\"now\">now</b>"), Not(HasSubstr(">ready</span>")),
                          Not(HasSubstr("not in sight"))));
  on_loop([this] { not_ready = {{"engine", "away"}}; });
  const auto missing = get("/readyz");
  EXPECT_EQ(missing.status, 503);
  EXPECT_EQ(reason_in(missing.json()), kSentence);
}

TEST_F(AttentionTest, ARefusedReloadIsTold) {
  PageFacts facts;
  facts.config.error = "line 3: unknown key \"disk.min\"\nline 9: not a size";
  const auto times = [&facts](const std::string& text) {
    const auto page = render_page(facts);
    std::size_t found = 0;
    for (auto at = page.find(text); at != std::string::npos; at = page.find(text, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(times("line 3: unknown key"), 1U);
  facts.not_ready = {
      {"config", "the last reload was refused, the old one is in force: line 3: unknown key \"disk.min\""}};
  EXPECT_EQ(times("line 3: unknown key"), 1U) << "once, though it is a part that is not ready, too";
  EXPECT_EQ(times("line 9: not a size"), 1U) << "with all its mistakes";
}

}  // namespace
}  // namespace buildwarden::api
