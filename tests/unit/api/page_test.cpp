// What the page says, as a document. What a browser makes of it is asked by tests/integration/page_test.
#include "daemon/api/page.h"

#include <gmock/gmock.h>

#include <boost/asio/detached.hpp>
#include <limits>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kHostile = "\"'><script>alert(1)</script>&";

ports::FilesystemSnapshot filling(const Now& now) {
  ports::FilesystemSnapshot disk;
  disk.device = "8:1";
  disk.mount = "/var/lib/docker";
  disk.gate = true;
  policy::Reading reading;
  reading.total = 100 * kGiB;
  reading.free = 20 * kGiB;
  reading.total_inodes = 1000;
  reading.free_inodes = 500;
  reading.at = now;
  disk.reading = reading;
  disk.marks = {5 * kGiB, 15 * kGiB, 25 * kGiB, 5, 6, 7};
  disk.pressure.level = policy::Level::kLow;
  disk.pressure.reason = "20 GiB are free";
  disk.pressure.fill_bytes_per_second = 25.0 * kMiB;
  disk.pressure.until_critical = 10min;
  disk.users = {{"images", "app:1", 30 * kGiB}, {"builder_cache", "s3", 10 * kGiB}};
  return disk;
}

class PageTest : public ::testing::Test {
 protected:
  PageTest() {
    facts.now = {WallTime{1'800'000'000s}, BootTime{2h}};
    facts.started = {WallTime{1'800'000'000s - 1h}, BootTime{1h}};
    facts.host = "build-7";
    facts.version = "1.2.3";
    facts.disk.filesystems = {filling(facts.now)};
  }
  [[nodiscard]] std::string page() const { return render_page(facts); }
  PageFacts facts;
};

TEST_F(PageTest, SaysWhatWasSavedTodayAndWhatOfItIsEstimated) {
  EXPECT_THAT(page(), HasSubstr("<section id=\"savings\" data-part hidden>")) << "it is not loaded";
  std::vector<ports::SavingsOfKind> kinds(2);
  kinds[0].saved.today = {3 * 3600, 0, kGiB, 4};
  kinds[1].saved.today = {12 * 60, 120, 0, 9};
  kinds[1].regretted.today = {61, 0, 0, 1};
  facts.savings.host = kinds;
  facts.savings.pipelines[std::string(kHostile)] = kinds;
  EXPECT_THAT(page(), AllOf(HasSubstr("today: 3 h 12 min of builds and pulls not waited for"),
                            HasSubstr("2 min</data> of it estimated"), HasSubstr("1 min</data>"),
                            HasSubstr("&lt;script&gt;"), Not(HasSubstr("<script>alert"))));
}

TEST_F(PageTest, SaysWhoItIsAndThatItIsReady) {
  EXPECT_THAT(page(), AllOf(HasSubstr("<title>build-7: ready - buildwarden</title>"), HasSubstr(">ready</span>"),
                            HasSubstr("buildwarden 1.2.3, up 1 h")));
  facts.not_ready = {{"engine", "it is away"}};
  EXPECT_THAT(page(), AllOf(HasSubstr("<title>build-7: not ready: 1 - buildwarden</title>"),
                            HasSubstr(">not ready: 1</span>"), HasSubstr("<b>engine</b> <span>it is away</span>")));
}

TEST_F(PageTest, ADiskHasItsNumbersItsBarAndItsForecast) {
  const auto text = page_disks(facts).text();
  EXPECT_THAT(text, AllOf(HasSubstr("<data value=\"21474836480\">20.00 GiB</data></b> free"),
                          HasSubstr("<span class=\"pill warn\">low</span>"), HasSubstr("80 %"),
                          HasSubstr("critical in 10 min"), HasSubstr("filling <data value=\"26214400\">")));
  EXPECT_THAT(text, HasSubstr("class=\"images\" x=\"0.00%\" width=\"30.00%\""));
  EXPECT_THAT(text, HasSubstr("class=\"builder_cache\" x=\"30.00%\" width=\"10.00%\""));
  EXPECT_THAT(text, HasSubstr("class=\"other\" x=\"40.00%\" width=\"40.00%\"")) << "what nobody accounts for";
  EXPECT_THAT(text, HasSubstr("class=\"mark critical\" x1=\"95.00%\""));
  EXPECT_THAT(text, HasSubstr("class=\"forecast\""));
}

TEST_F(PageTest, AnUnknownDiskIsNeverShownAsFine) {
  auto& disk = facts.disk.filesystems[0];
  disk.error = "statvfs: no answer for 5 s";
  disk.pressure.level = policy::Level::kUnknown;
  EXPECT_THAT(page(), AllOf(HasSubstr("Cannot be measured: statvfs: no answer for 5 s"),
                            HasSubstr(", when it was last measured"), HasSubstr(">unknown</span>"),
                            HasSubstr("no filesystem that jobs wait for was measured")));
  disk.reading.reset();
  EXPECT_THAT(page(), AllOf(HasSubstr("Cannot be measured"), Not(HasSubstr("class=\"bar\""))));
}

TEST_F(PageTest, ACurveHasAGapWhereNothingWasMeasured) {
  const auto at = [this](Duration ago) { return facts.now.boot - ago; };
  const std::vector<SpaceHistory::Sample> samples = {
      {at(2h), 1},           {at(40min), 20 * kGiB}, {at(39min), 21 * kGiB}, {at(10min), 30 * kGiB},
      {at(9min), 31 * kGiB}, {at(0min), 20 * kGiB}};
  const auto text = page_chart(facts.disk.filesystems[0], {samples}, facts.now).text();
  EXPECT_THAT(text, HasSubstr("between 20.00 GiB and 31.00 GiB; critical in 10 min"))
      << "older than an hour is left out";
  std::size_t pieces = 0;
  for (auto found = text.find("class=\"line\""); found != std::string::npos;
       found = text.find("class=\"line\"", found + 1)) {
    ++pieces;
  }
  EXPECT_EQ(pieces, 3U);
  EXPECT_THAT(text, HasSubstr("d=\"M200.0 "));
}

TEST_F(PageTest, NoNameBecomesMarkup) {
  const std::string hostile(kHostile);
  facts.host = facts.version = hostile;
  facts.not_ready = {{hostile, hostile}};
  facts.config.error = facts.disk.ledger_error = facts.journal_error = hostile;
  facts.config.restart_needed = {hostile};
  auto& disk = facts.disk.filesystems[0];
  disk.mount = disk.error = disk.pressure.reason = hostile;
  disk.users.push_back({hostile, hostile, 1});
  ports::BuilderView builder;
  builder.name = builder.reason = builder.version = builder.last_heal_reason = hostile;
  builder.leases = builder.platforms = {hostile};
  builder.heals = 1;
  builder.last_heal_at = facts.now.wall;
  facts.builders.builders = {builder};
  facts.engine.reason = hostile;
  policy::PlatformStatus platform;
  platform.platform = platform.reason = hostile;
  facts.emulators.emulators = {platform};
  ports::Lease lease;
  lease.id = lease.pipeline = lease.agent = hostile;
  lease.builders = {hostile};
  facts.jobs.leases = {lease};
  facts.prefetch.reason = hostile;
  ports::SeedView seed;
  seed.builder = seed.state = seed.rule = seed.reason = seed.refusal = seed.restored_from = hostile;
  seed.there.emplace();
  seed.asked_at = facts.now.wall;
  facts.seeds = {hostile, hostile, {seed}};
  facts.prefetch.items = {{hostile, hostile, policy::PrefetchState::kFailed, 1, {}, hostile, {}}};
  ports::RecordedEvent event;
  event.event = {hostile, ports::Severity::kError, hostile, hostile, {{hostile, hostile}}};
  facts.events = {event};
  auto text = page();
  EXPECT_THAT(text, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(text, Not(HasSubstr("\"'>"))) << "it would end an attribute";
  std::size_t times = 0;
  const auto escaped = escape_html(hostile);
  for (auto at = text.find(escaped); at != std::string::npos; at = text.find(escaped, at + 1)) ++times;
  EXPECT_GE(times, 30U) << "it is shown, as what it is";
}

TEST_F(PageTest, ATerminationIsShownWithItsSteps) {
  EXPECT_THAT(page(), HasSubstr("<section id=\"termination\" data-part hidden>"));
  auto& view = facts.termination;
  view.state = policy::TerminationState::kDraining;
  view.reason = "/data is <critical>";
  view.next = "the jobs are told to end";
  view.left = 90s;
  view.since = facts.now.wall - 2min;
  view.instance = "i-1";
  policy::TerminationStep step;
  step.at = facts.now;
  step.pid = 412;
  step.tries = 3;
  view.steps = {step};
  EXPECT_THAT(
      page(),
      AllOf(HasSubstr("<span class=\"pill bad\">draining</span> since <time"), HasSubstr("/data is &lt;critical&gt;"),
            HasSubstr("Next: the jobs are told to end in 1 min"), HasSubstr(", tried 3 times, process 412")));
}

TEST_F(PageTest, AMarkerInANameIsAName) {
  facts.host = "{{sections}}";
  const auto text = page();
  EXPECT_THAT(text, HasSubstr("<title>{{sections}}: ready - buildwarden</title>"));
  EXPECT_EQ(text.find("id=\"disks\""), text.rfind("id=\"disks\""));
}

TEST_F(PageTest, DecisionsStandLatestFirstWithTheirNumbers) {
  ports::RecordedEvent event;
  event.id = 7;
  event.at = facts.now.wall - 5min;
  event.event = {
      "reclaim.step",
      ports::Severity::kInfo,
      "image app:1 was removed",
      "unused",
      {{"freed_bytes", std::int64_t{kGiB}}, {"share", std::numeric_limits<double>::quiet_NaN()}, {"done", true}}};
  facts.events.push_back(event);
  event.id = 8;
  facts.events.push_back(event);
  const auto text = page_events(facts).text();
  EXPECT_LT(text.find("data-event=\"8\""), text.find("data-event=\"7\""));
  EXPECT_THAT(text,
              AllOf(HasSubstr("5 min ago"), HasSubstr("<dt>freed_bytes</dt><dd><data value=\"1073741824\">1.00 GiB"),
                    HasSubstr("<dt>rule</dt><dd><bdi>unused</bdi>"), HasSubstr("<dt>share</dt><dd>unknown</dd>")));
}

TEST(Brief, RoundsDown) {
  EXPECT_EQ(brief(59'999ms), "59 s");
  EXPECT_EQ(brief(-90s), "1 min");
  EXPECT_EQ(brief(2h), "2 h");
  EXPECT_EQ(brief(2h + 5min), "2 h 5 min");
  EXPECT_EQ(brief(100h), "4 d");
}

using PageRouteTest = ApiTest;

TEST_F(PageRouteTest, IsADocumentThatLoadsNothingAndRunsOnlyItsOwn) {
  start();
  const auto answer = get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.has("Content-Type: text/html; charset=utf-8")) << answer.head;
  EXPECT_TRUE(answer.has("X-Content-Type-Options: nosniff")) << answer.head;
  EXPECT_THAT(answer.head,
              AllOf(HasSubstr("Content-Security-Policy: default-src 'none'"), HasSubstr("script-src 'sha256-"),
                    HasSubstr("frame-ancestors 'none'"), Not(HasSubstr("unsafe"))));
  EXPECT_THAT(answer.body, AllOf(HasSubstr("<!DOCTYPE html>"), HasSubstr("build-7"), Not(HasSubstr("{{"))));
}

TEST_F(PageRouteTest, ShowsTheLatestDecisionsHoweverTheirNumbersJump) {
  for (int i = 0; i < 100; ++i) events.record("disk.level", clock.now().wall);
  events.ring.back().id = 5000;  // as after an end that was not a clean one
  start();
  const auto body = get("/").body;
  EXPECT_THAT(body, AllOf(HasSubstr("data-event=\"5000\""), HasSubstr("data-event=\"99\""),
                          HasSubstr("data-event=\"41\""), Not(HasSubstr("data-event=\"40\""))));
}

TEST_F(PageRouteTest, HasTheHistoryThatWasKept) {
  auto disk = filling(clock.now());
  views.disk.filesystems = {disk};
  start();
  boost::asio::co_spawn(loop, api->run(), boost::asio::detached);
  on_loop([] {});
  disk.reading->at.boot += 1min;
  disk.reading->free = kGiB;
  on_loop([&] { views.disk.filesystems = {disk}; });
  clock.advance(1min);
  EXPECT_THAT(get("/").body, HasSubstr("between 1.00 GiB and 20.00 GiB"));
}

TEST_F(PageTest, SeedsAreShownWithAgeSizeAndResult) {
  EXPECT_THAT(page(), HasSubstr("<section id=\"seeds\" data-part hidden>")) << "there is no location";
  ports::SeedView seed;
  seed.builder = "s3";
  seed.state = "idle";
  seed.rule = "saved";
  seed.reason = "a seed was made of builder s3";
  seed.asked_at = facts.now.wall;
  seed.age = 2h + 5min;
  seed.there.emplace();
  seed.there->unpacked_bytes = 3 * kGiB;
  seed.there->images = {"node@sha256:1"};
  seed.refusal = "it is of another builder";
  ports::SeedView none;
  none.builder = "pr";
  none.asked_at = facts.now.wall;
  facts.seeds = {"s3://fleet/seeds", "idle", {seed, none}};
  const auto text = page();
  for (const auto* shown : {"s3://fleet/seeds; saved: idle", "3.00 GiB", "2 h 5 min", ", 1 image<",
                            "a seed was made of builder s3", "it is of another builder"}) {
    EXPECT_THAT(text, HasSubstr(shown));
  }
  EXPECT_THAT(text, HasSubstr("<span class=\"quiet\">none</span>"));
}

}  // namespace
}  // namespace buildwarden::api
