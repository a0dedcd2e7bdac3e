// What each route answers, over the unix socket.
#include <gmock/gmock.h>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

using RoutesTest = ApiTest;

ports::FilesystemSnapshot filesystem(const Now& now) {
  ports::FilesystemSnapshot disk;
  disk.device = "8:1";
  disk.mount = "/";
  disk.paths = {"/var/lib/docker"};
  disk.roles = {"data_root", "root"};
  disk.gate = true;
  policy::Reading reading;
  reading.total = 1000;
  reading.free = 400;
  reading.total_inodes = 50;
  reading.free_inodes = 40;
  reading.at = now;
  disk.reading = reading;
  disk.marks = {100, 150, 250, 5, 6, 7};
  disk.pressure.level = policy::Level::kOk;
  disk.pressure.reason = "400 B free";
  disk.pressure.rule = "free_above_low";
  disk.pressure.fill_bytes_per_second = 2.4;
  disk.pressure.until_critical = Duration{125'500};
  disk.ballast = {10, "10 B are held", "held"};
  disk.users = {{"images", "app:1", 90, now.wall}, {"builder_cache", "s3", 60}};
  return disk;
}

TEST_F(RoutesTest, DiskHasTheShapeOfTheContract) {
  views.disk.filesystems = {filesystem(clock.now())};
  start();
  EXPECT_EQ(
      get("/v1/disk").body,
      R"({"filesystems":[{"device":"8:1","mount":"/","paths":["/var/lib/docker"],"roles":["data_root","root"],)"
      R"("gate":true,"total_bytes":1000,"free_bytes":400,"total_inodes":50,"free_inodes":40,)"
      R"("measured_at":"2026-01-01T00:00:00.000Z","level":"ok","reason":"400 B free","rule":"free_above_low",)"
      R"("marks":{"critical_bytes":100,"low_bytes":150,"target_bytes":250,"critical_inodes":5,"low_inodes":6,)"
      R"("target_inodes":7,"mistake":null},"fill_bytes_per_second":2,"seconds_to_critical":125.5,"ballast_bytes":10,"ballast_reason":"10 B are held","ballast_rule":"held",)"
      R"("users":[{"kind":"images","name":"app:1","bytes":90,"looked_at":"2026-01-01T00:00:00.000Z"},)"
      R"({"kind":"builder_cache","name":"s3","bytes":60,"looked_at":null}],)"
      R"("unattributed_bytes":440,"error":null}],)"
      R"("image_store":{"folders":[],"unknown":null},"reclaiming":false,"refused_roots":[]})");
}

TEST_F(RoutesTest, AnUnknownDiskIsNullNotZero) {
  auto unknown = filesystem(clock.now());
  unknown.reading.reset();
  unknown.error = "statvfs: no answer";
  unknown.pressure = {};
  views.disk.filesystems = {unknown};
  start();
  const auto disk = get("/v1/disk").json().at("filesystems").at(0);
  EXPECT_TRUE(disk.at("free_bytes").is_null());
  EXPECT_TRUE(disk.at("unattributed_bytes").is_null());
  EXPECT_TRUE(disk.at("seconds_to_critical").is_null());
  EXPECT_EQ(disk.at("level").as_string(), "unknown");
  EXPECT_EQ(disk.at("error").as_string(), "statvfs: no answer");
}

TEST_F(RoutesTest, ReadinessListsWhatIsMissing) {
  start();
  EXPECT_EQ(get("/readyz").body, R"({"ready":true,"not_ready":[],"attention":[]})");
  on_loop([&] { not_ready = {{"engine", "no answer on /run/d.sock"}, {"builder s3", "starting"}}; });
  const auto answer = get("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.text("code"), "not_ready");
  EXPECT_EQ(answer.text("detail"), "not ready: engine (no answer on /run/d.sock), builder s3 (starting)");
  EXPECT_EQ(answer.json().at("not_ready").at(1).at("part").as_string(), "builder s3");
}

TEST_F(RoutesTest, MetricsAndConfigAreGivenAsTheyAre) {
  start();
  const auto metrics = get("/metrics");
  EXPECT_EQ(metrics.body, "buildwarden_up 1\n");
  EXPECT_TRUE(metrics.has("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  EXPECT_EQ(get("/v1/config").body, "{\"settings\":[]}");
}

TEST_F(RoutesTest, StatusIsOneViewOfEverything) {
  views.disk.filesystems = {filesystem(clock.now())};
  views.engine.up = true;
  views.engine.identity.version = "26.1.5";
  views.engine.since = clock.now();
  views.builders.builders.resize(1);
  views.jobs.leases.resize(2);
  events.record("a", clock.now().wall);
  events.failure = "the disk is full";
  views.disk.refused_roots = {{"/home/builds", "paths.builds", "/home belongs to uid 2000"}};
  start();
  on_loop([&] { clock.advance(90s); });
  const auto status = get("/v1/status").json();
  EXPECT_EQ(status.at("version").as_string(), "1.2.3");
  EXPECT_EQ(status.at("uptime_seconds").as_int64(), 90);
  EXPECT_EQ(status.at("started_at").as_string(), "2026-01-01T00:00:00.000Z");
  EXPECT_TRUE(status.at("ready").as_bool());
  EXPECT_FALSE(status.at("dry_run").as_bool());
  EXPECT_TRUE(status.at("engine").at("up").as_bool());
  EXPECT_EQ(status.at("engine").at("version").as_string(), "26.1.5");
  EXPECT_EQ(status.at("filesystems").as_array().size(), 1U);
  EXPECT_EQ(status.at("builders").as_array().size(), 1U);
  EXPECT_EQ(status.at("jobs").as_array().size(), 2U);
  EXPECT_EQ(status.at("last_event_id").as_int64(), 1);
  EXPECT_EQ(status.at("state").at("journal_error").as_string(), "the disk is full");
  EXPECT_TRUE(status.at("state").at("ledger_error").is_null());
  const auto refused = R"([{"path":"/home/builds","setting":"paths.builds","reason":"/home belongs to uid 2000"}])";
  EXPECT_EQ(status.at("refused_roots"), boost::json::parse(refused));
  EXPECT_EQ(get("/v1/disk").json().at("refused_roots"), boost::json::parse(refused));
}

TEST_F(RoutesTest, EmulatorsAreShownAndExecutedOnDemand) {
  policy::PlatformStatus arm64;
  arm64.platform = "linux/arm64";
  arm64.state = policy::PlatformState::kProven;
  arm64.handler = "buildwarden-aarch64";
  arm64.flags = "OCF";
  arm64.ours = true;
  arm64.proven_at = clock.now().wall;
  views.emulators.emulators = {arm64};
  views.emulators.restored["linux/arm64"] = 2;
  views.builders.builders.resize(1);
  views.builders.builders[0].name = "s3";
  views.builders.builders[0].platforms = {"linux/arm64/v8", "linux/s390x"};
  start();
  const auto shown = get("/v1/emulators").json();
  EXPECT_EQ(shown.at("emulators").at(0).at("state").as_string(), "proven");
  EXPECT_EQ(shown.at("emulators").at(0).at("restored").as_int64(), 2);
  EXPECT_TRUE(shown.at("executed_at").is_null());
  EXPECT_EQ(ask("POST", "/v1/emulators/verify", "").json(), shown);
  EXPECT_EQ(views.verified, 1);
  const auto other = ask("POST", "/v1/emulators/verify", R"({"platform":"linux/arm64"})");
  EXPECT_EQ(other.status, 400);
  EXPECT_THAT(other.text("detail"), HasSubstr("platform"));
  EXPECT_EQ(views.verified, 1) << "what is not known is refused before anything is done";
  views.emulators.native = "linux/amd64";
  views.builders.builders[0].platforms.emplace_back("linux/amd64/v2");
  const auto kinds = get("/v1/builders/s3").json().at("platform_kinds");
  EXPECT_EQ(kinds.at("linux/amd64/v2").as_string(), "native") << "whatever is wanted of emulation";
  EXPECT_EQ(kinds.at("linux/arm64/v8").as_string(), "kernel");
  EXPECT_EQ(kinds.at("linux/s390x").as_string(), "unknown");
}

TEST_F(RoutesTest, StatusSaysHowTheConfigurationIs) {
  views.config.loaded_at = clock.now().wall;
  start();
  EXPECT_THAT(get("/v1/status").body, HasSubstr(R"("config":{"loaded_at":"2026-01-01T00:00:00.000Z","error":null,)"
                                                R"("restart_needed":[],"parameters_awaited":false,"file":""})"));
  on_loop([&] {
    views.config.error = "a.yaml:1: no";
    views.config.restart_needed = {"listen.tcp"};
    views.config.parameters_awaited = true;
  });
  EXPECT_THAT(get("/v1/status").body, HasSubstr(R"("error":"a.yaml:1: no","restart_needed":["listen.tcp"],)"
                                                R"("parameters_awaited":true,"file":"")"));
}

TEST_F(RoutesTest, StatusShowsWhatIsFetchedAhead) {
  policy::PrefetchItem item;
  item.image = "a:1";
  views.prefetch.items = {policy::fetched(item, "a:1 is there", clock.now())};
  item.builder = "s3";
  views.prefetch.items.push_back(policy::fetch_failed(item, "no such host", Duration{0}, clock.now()));
  views.prefetch.reason = "the next try is 5s away";
  views.prefetch.rule = "backing_off";
  start();
  EXPECT_THAT(get("/v1/status").body,
              HasSubstr(R"("prefetch":{"done":1,"images":[{"image":"a:1","builder":null,"state":"done",)"
                        R"("reason":"a:1 is there","failures":0,"done_at":"2026-01-01T00:00:00.000Z"},)"
                        R"({"image":"a:1","builder":"s3","state":"failed","reason":"no such host","failures":1,)"
                        R"("done_at":null}],"reason":"the next try is 5s away","rule":"backing_off"})"));
}

TEST_F(RoutesTest, StatusShowsATerminationWithItsCountdown) {
  EXPECT_EQ(views.termination.state, policy::TerminationState::kNone);
  policy::TerminationStep step;
  step.action = policy::TerminationAction::kTermAgent;
  step.at = clock.now();
  step.pid = 4711;
  step.outcome = policy::TerminationOutcome::kDone;
  views.termination = {policy::TerminationState::kDraining,
                       "1 job runs",
                       "jobs",
                       clock.now().wall,
                       "cancel the jobs",
                       std::chrono::seconds{90},
                       "/docker",
                       "i-1",
                       {step}};
  start();
  EXPECT_THAT(get("/v1/status").body,
              HasSubstr(R"("termination":{"state":"draining","reason":"1 job runs","rule":"jobs",)"
                        R"("since":"2026-01-01T00:00:00.000Z","next":"cancel the jobs","seconds_left":90,)"
                        R"("mount":"/docker","instance":"i-1","steps":[{"step":"sigterm",)"
                        R"("at":"2026-01-01T00:00:00.000Z","outcome":"done","tries":1,"pid":4711}]})"));
}

TEST_F(RoutesTest, BuildersAsListAndByName) {
  ports::BuilderView builder;
  builder.name = "s3";
  builder.state = policy::BuilderState::kWarm;
  builder.reason = "it answers";
  builder.leases = {"job-1"};
  builder.heals = 2;
  builder.heals_by_reason = {{"exited", 2}};
  builder.last_heal_at = clock.now().wall;
  builder.last_heal_reason = "it exited with 137";
  builder.cache_bytes = 5;
  builder.running_builds = 2;
  builder.volume = "buildwarden_s3";
  builder.version = "v0.13.1";
  builder.platforms = {"linux/amd64", "linux/arm64"};
  views.engine.up = true;
  views.engine.identity.version = "26.1.5";
  views.builders.builders = {builder};
  start();
  const std::string expected =
      R"({"name":"s3","state":"warm","reason":"it answers","container":"","image":"","endpoint":"","fronts":[],)"
      R"("leases":["job-1"],"heals":2,"heals_by_reason":{"exited":2},)"
      R"("last_heal":{"at":"2026-01-01T00:00:00.000Z","reason":"it exited with 137"},"cache_bytes":5,)"
      R"("running_builds":2,"volume":"buildwarden_s3","version":"v0.13.1","platforms":["linux/amd64","linux/arm64"],)"
      R"("platform_kinds":{"linux/amd64":"unknown","linux/arm64":"unknown"}})";
  EXPECT_EQ(get("/v1/builders/s3").body, expected);
  EXPECT_EQ(get("/v1/builders").body, R"({"builders":[)" + expected +
                                          R"(],"engine":{"name":"engine","state":"warm","reason":"the engine answers",)"
                                          R"("version":"26.1.5"}})");
  const auto missing = get("/v1/builders/gha");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.text("code"), "builder_unknown");
  EXPECT_EQ(missing.text("detail"), "there is no builder \"gha\"; there are: s3");
}

TEST_F(RoutesTest, WrongMethodsAreToldWhatIsAllowed) {
  start();
  const auto jobs = ask("PUT", "/v1/jobs", "");
  EXPECT_EQ(jobs.status, 405);
  EXPECT_TRUE(jobs.has("Allow: GET, HEAD, OPTIONS, POST"));
  EXPECT_TRUE(ask("PATCH", "/v1/jobs/1", "").has("Allow: DELETE, GET, HEAD, OPTIONS, PUT"));
  EXPECT_EQ(get("/v1/jobs/").status, 404);
}

TEST_F(RoutesTest, ReclaimGoesUpToReclaimToByDefault) {
  views.disk.filesystems = {filesystem(clock.now())};
  ports::SpaceResult result;
  result.reached = true;
  result.free_before = 100;
  result.free_after = 260;
  result.reason = "260 B free";
  const auto freed = policy::FreedSpace::between({{"8:1", "/", 20, 0}}, {{"8:1", "/", 100, 0}});
  result.steps = {{"images", "app:1", 90, freed, "unused for 5h", "age"},
                  {"images", "app:2", 90, policy::FreedSpace::unknown("it is gone"), "unused for 4h", "age"}};
  result.steps[0].mount = "/";
  result.steps[0].shared = 10;
  result.steps[1].value = policy::Valuation{1.5, 0, 12.5, true, 7, "app:3", "would cost 12.5 s"};
  space.result = result;
  start();
  const auto answer = ask("POST", "/v1/disk/reclaim", "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      answer.body,
      R"({"dry_run":false,"reached":true,"reason":"260 B free","free_before_bytes":100,"free_after_bytes":260,)"
      R"("steps":[{"rung":"images","what":"app:1","reported_bytes":90,"freed_bytes":80,"freed_inodes":0,)"
      R"("others_took_bytes":0,"reason":"unused for 5h","rule":"age",)"
      R"("last_used_at":"1970-01-01T00:00:00.000Z","cost_seconds":null,"cost_is_estimated":null,"uses":null,)"
      R"("worth":null,"superseded_by":null,"why":null,"mount":"/","shared_bytes":10,"place":1},)"
      R"({"rung":"images","what":"app:2","reported_bytes":90,"freed_bytes":null,"freed_inodes":null,)"
      R"("others_took_bytes":0,"reason":"unused for 4h","rule":"age",)"
      R"("last_used_at":"1970-01-01T00:00:00.000Z","cost_seconds":12.5,"cost_is_estimated":true,"uses":7,)"
      R"("worth":1.5,"superseded_by":"app:3","why":"would cost 12.5 s","mount":null,"shared_bytes":0,"place":2}],"last_resort":null,"images_failed":null,"at_end":null})");
  const auto asked = on_loop([&] { return *space.asked; });
  EXPECT_EQ(asked.free, 250);
  EXPECT_FALSE(asked.dry_run);
  EXPECT_TRUE(asked.on_request);
  EXPECT_EQ(asked.on_behalf_of, "uid " + std::to_string(::getuid()));
}

TEST_F(RoutesTest, AJobThatEndsIsToldWhatGoesWithIt) {
  views.disk.filesystems = {filesystem(clock.now())};
  ending_jobs.room = ports::RoomAtEnd{true, "1 checkouts go"};
  start();
  EXPECT_THAT(ask("POST", "/v1/disk/reclaim", R"({"ending_job":"job-7"})").body,
              HasSubstr(R"("at_end":{"enough":true,"reason":"1 checkouts go"}})"));
  EXPECT_EQ(on_loop([&] { return std::exchange(ending_jobs.asked, ""); }), "job-7");
  on_loop([&] { return ending_jobs.room = Error(Errc::kDenied, "nobody"), space.result->images_failed = "x", 0; });
  EXPECT_THAT(ask("POST", "/v1/disk/reclaim", R"({"ending_job":"job-7"})").body,
              HasSubstr(R"("images_failed":"x","at_end":{"enough":false,"reason":"nobody"}})"));
  on_loop([&] { return space.result->reached = true, ending_jobs.asked = "", 0; });
  EXPECT_THAT(ask("POST", "/v1/disk/reclaim", R"({"ending_job":"job-7"})").body, HasSubstr("\"at_end\":null"));
  EXPECT_EQ(on_loop([&] { return ending_jobs.asked; }), "") << "there is room";
  EXPECT_EQ(ask("POST", "/v1/disk/reclaim", R"({"ending_job":7})").status, 400);
}

TEST_F(RoutesTest, AReclaimsPlanNamesTheLastResort) {
  views.disk.filesystems = {filesystem(clock.now())};
  ports::SpaceResult result;
  result.last_resort = ports::LastResortView{"it would be drained", "dry_run"};
  space.result = result;
  start();
  EXPECT_THAT(ask("POST", "/v1/disk/reclaim", R"({"dry_run":true})").body,
              HasSubstr(R"("last_resort":{"reason":"it would be drained","rule":"dry_run"},"images_failed")"));
}

TEST_F(RoutesTest, ReclaimIsDryWhenAskedOrWhenTheDaemonIs) {
  views.disk.filesystems = {filesystem(clock.now())};
  start();
  EXPECT_THAT(ask("POST", "/v1/disk/reclaim", R"({"target_free_bytes":200,"dry_run":true})").body,
              HasSubstr("\"dry_run\":true"));
  EXPECT_TRUE(on_loop([&] { return space.asked->dry_run && space.asked->free == 200; }));
  stop();
}

TEST_F(RoutesTest, ADryDaemonNeverAsksForMore) {
  context.dry_run = [] { return true; };
  views.disk.filesystems = {filesystem(clock.now())};
  start();
  ask("POST", "/v1/disk/reclaim", R"({"dry_run":false})");
  EXPECT_TRUE(on_loop([&] { return space.asked->dry_run; }));
}

TEST_F(RoutesTest, OnlyRootMayAskForMoreThanReclaimTo) {
  views.disk.filesystems = {filesystem(clock.now())};
  start();
  Request request;
  request.method = "POST";
  request.path = "/v1/disk/reclaim";
  request.body = R"({"target_free_bytes":251})";
  request.peer.local = true;
  request.peer.uid = 2000;
  request.peer.groups = {*context.agent_group};
  const auto refused = boost::asio::co_spawn(loop, api->handle(request), boost::asio::use_future).get();
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("\"code\":\"above_reclaim_to\""));
  EXPECT_FALSE(on_loop([&] { return space.asked.has_value(); }));
  request.body = R"({"target_free_bytes":250})";
  EXPECT_EQ(boost::asio::co_spawn(loop, api->handle(request), boost::asio::use_future).get().status, 200);
  request.peer.uid = 0;
  request.body = R"({"target_free_bytes":900})";
  EXPECT_EQ(boost::asio::co_spawn(loop, api->handle(request), boost::asio::use_future).get().status, 200);
  EXPECT_EQ(on_loop([&] { return space.asked->free; }), 900);
}

TEST_F(RoutesTest, ReclaimTellsMistakesAndFailures) {
  views.disk.filesystems = {filesystem(clock.now())};
  space.result = Error(Errc::kUnavailable, "the engine does not answer");
  start();
  const auto wrong = ask("POST", "/v1/disk/reclaim", R"({"target":"20GiB","dry_run":1})");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.text("code"), "bad_field");
  EXPECT_EQ(wrong.text("detail"), R"("dry_run" must be true or false, not a number; "target" is not known)");
  EXPECT_EQ(wrong.json().at("errors").at(1).at("field").as_string(), "target");
  const auto failed = ask("POST", "/v1/disk/reclaim", "{}");
  EXPECT_EQ(failed.status, 503);
  EXPECT_EQ(failed.text("detail"), "the engine does not answer");
}

}  // namespace
}  // namespace buildwarden::api
