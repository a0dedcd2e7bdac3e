// What goes next, what was done within the hour, and a cache against its share.
#include <gmock/gmock.h>

#include <boost/asio/detached.hpp>

#include "daemon/api/page.h"
#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ports::SpaceStep step(const std::string& what, Bytes bytes) {
  ports::SpaceStep made;
  made.rung = "build_cache";
  made.what = what;
  made.reported = bytes;
  made.rule = "keep_used_within";
  return made;
}

class PageNextTest : public ApiTest {
 protected:
  PageNextTest() {
    ports::FilesystemSnapshot disk;
    disk.mount = "/";
    disk.gate = true;
    policy::Reading reading;
    reading.total = 100 * kGiB;
    reading.free = 50 * kGiB;
    reading.at = clock.now();
    disk.reading = reading;
    disk.keeps = {ports::Kept::kVolumes};
    views.disk.filesystems = {disk};
    space.result->steps = {step("<b>layer</b>", 3 * kGiB)};
  }
  // Until the page has the plan: it does not wait for one.
  [[nodiscard]] std::string page_with_plan() const {
    auto text = get("/").body;
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (text.find("as planned") == std::string::npos && std::chrono::steady_clock::now() < until) {
      text = get("/").body;
    }
    return text;
  }
  void plan_for_viewers() {
    start();
    boost::asio::co_spawn(loop, api->keep_planning(), boost::asio::detached);
  }
};

TEST_F(PageNextTest, TheFirstLookDoesNotWaitAndTheNextOneHasThePlan) {
  plan_for_viewers();
  EXPECT_THAT(get("/").body, HasSubstr("The plan is being made"));
  EXPECT_THAT(page_with_plan(), AllOf(HasSubstr("&lt;b&gt;layer"), HasSubstr("3.00 GiB"), HasSubstr("build cache"),
                                      Not(HasSubstr("<b>layer"))));
  const auto asked = on_loop([this] { return *space.asked; });
  EXPECT_TRUE(asked.dry_run && asked.quiet) << "nothing is deleted, and nobody is told";
}

TEST_F(PageNextTest, ManyLooksAreOnePlanAMinute) {
  plan_for_viewers();
  EXPECT_THAT(page_with_plan(), HasSubstr("as planned"));
  for (int looks = 0; looks < 20; ++looks) EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(on_loop([this] { return space.times; }), 1);
  on_loop([this] { clock.advance(61s); });
  EXPECT_THAT(get("/").body, HasSubstr("as planned 1 min ago"));
  const auto times = [this] { return on_loop([this] { return space.times; }); };
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (times() < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(times(), 2);
}

TEST_F(PageNextTest, AFailedPlanIsNotTriedAgainAtEachLook) {
  space.result = Error(Errc::kUnavailable, "the engine is away");
  plan_for_viewers();
  for (int looks = 0; looks < 20; ++looks) EXPECT_THAT(get("/").body, HasSubstr("The plan is being made"));
  EXPECT_LE(on_loop([this] { return space.times; }), 1);
}

TEST(ChartEventsTest, KeepReclaimsThatTookSomethingAndHeals) {
  FakeEvents events;
  testing::FakeClock clock;
  const auto now = clock.now().wall;
  events.record("builder.healed", now - 2h);
  events.record("builder.healed", now - 5min);
  events.record("reclaim.done", now - 4min);
  events.ring.back().event.fields = {{"steps", std::int64_t{2}}, {"dry_run", false}, {"mount", std::string("/")}};
  events.record("reclaim.done", now - 3min);
  events.ring.back().event.fields = {{"steps", std::int64_t{2}}, {"dry_run", true}};
  events.record("reclaim.short", now - 2min);
  events.ring.back().event.fields = {{"steps", std::int64_t{0}}, {"dry_run", false}};
  ChartEvents chart_events;
  chart_events.look(events, now);
  chart_events.look(events, now);
  ASSERT_EQ(chart_events.all().size(), 2U) << "each once; none that is too old, a plan, or took nothing";
  EXPECT_TRUE(chart_events.all()[0].is_heal);
  EXPECT_EQ(chart_events.all()[1].mount, "/");
  for (int more = 0; more < 300; ++more) events.record("builder.healed", now);
  chart_events.look(events, now);
  EXPECT_LE(chart_events.all().size(), ChartEvents::kMost);
}

TEST_F(PageNextTest, TheChartHasWhatWasDone) {
  const auto now = clock.now();
  ChartHistory history;
  history.chart_events = {{now.wall - 30min, false, "/", "12 GiB <b> freed"},
                          {now.wall - 20min, false, "/other", "elsewhere"},
                          {now.wall - 10min, true, "", "it was frozen"},
                          {now.wall - 61min, true, "", "long ago"}};
  const auto chart = page_chart(views.disk.filesystems[0], history, now).text();
  EXPECT_THAT(chart, AllOf(HasSubstr("class=\"chart-event reclaim\" x=\"40.00%\""),
                           HasSubstr("30 min ago: 12 GiB &lt;b&gt; freed"), HasSubstr("10 min ago: it was frozen"),
                           HasSubstr("1 reclaim within the hour"), HasSubstr("1 heal within the hour")));
  EXPECT_THAT(chart, AllOf(Not(HasSubstr("elsewhere")), Not(HasSubstr("long ago"))));
}

TEST_F(PageNextTest, ACacheStandsBesideItsShare) {
  PageFacts facts;
  facts.disk = views.disk;
  ports::BuilderView builder;
  builder.name = "s3";
  builder.cache_bytes = 20 * kGiB;
  builder.cache_share = Amount::share(0.25);
  facts.builders.builders = {builder};
  EXPECT_THAT(page_builders(facts).text(), HasSubstr("25.00 GiB</data> (cache_share)"));
  EXPECT_THAT(page_builders(facts).text(), HasSubstr("max=\"26843545600\" value=\"21474836480\""));
  facts.disk.filesystems[0].keeps.clear();
  EXPECT_THAT(page_builders(facts).text(), Not(HasSubstr("<meter")));
}

TEST_F(PageNextTest, CheckoutsAreThereByAgentWithWhatWouldGo) {
  PageFacts facts;
  facts.now = clock.now();
  facts.disk = views.disk;
  EXPECT_THAT(page_checkouts(facts).text(), HasSubstr("hidden")) << "none is known, and none may go";
  facts.disk.filesystems[0].users = {{"checkouts", "small", kMiB, facts.now.wall - 5min},
                                     {"checkouts", "big<b>", 2 * kGiB, facts.now.wall - 5min},
                                     {"images", "app:1", 3 * kGiB, facts.now.wall}};
  const auto off = page_checkouts(facts).text();
  EXPECT_THAT(off, AllOf(HasSubstr("they stay: on_full.purge_builds is off"), HasSubstr("5 min ago"),
                         Not(HasSubstr("Would go")), Not(HasSubstr("app:1")), Not(HasSubstr("big<b>"))));
  EXPECT_LT(off.find("big&lt;b&gt;"), off.find(">small<")) << "the largest first";
  facts.disk.purges_checkouts = true;
  EXPECT_THAT(page_checkouts(facts).text(), HasSubstr("not planned yet"));
  facts.plan = DiskPlan();
  facts.plan->steps = {step("checkout small/acme/web", kMiB), step("checkout smaller/acme/web", kMiB)};
  EXPECT_THAT(page_checkouts(facts).text(), HasSubstr("none")) << "of another rung";
  for (auto& one : facts.plan->steps) one.rung = "checkouts";
  const auto on = page_checkouts(facts).text();
  EXPECT_THAT(on, HasSubstr("data-label=\"Would go\">1</td>"));
  facts.disk.filesystems[0].users.clear();
  EXPECT_THAT(page_checkouts(facts).text(), HasSubstr("looked up while their disk is short"));
}

TEST_F(PageNextTest, WordsOfTheChartStandAboveAllItsLines) {
  auto& disk = views.disk.filesystems[0];
  disk.marks = {5 * kGiB, 6 * kGiB, 7 * kGiB, 0, 0, 0};
  const auto chart = page_chart(disk, {}, clock.now()).text();
  EXPECT_LT(chart.find("class=\"mark target\""), chart.find("critical 5.00 GiB"));
}

TEST_F(PageNextTest, EachDecisionHasTheGroupThatTheFilterShows) {
  PageFacts facts;
  for (const auto* kind : {"reclaim.step", "seed.saved", "job.started", "config.reloaded"}) {
    ports::RecordedEvent event;
    event.event.kind = kind;
    facts.events.push_back(event);
  }
  const auto text = page_events(facts).text();
  for (const auto* group : {"disk", "builders", "jobs", "daemon"}) {
    EXPECT_THAT(text, HasSubstr(std::string("data-group=\"") + group + "\""));
    EXPECT_THAT(text, HasSubstr(std::string("id=\"show-") + group + "\""));
  }
}

}  // namespace
}  // namespace buildwarden::api
