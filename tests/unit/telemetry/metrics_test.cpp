#include "daemon/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <regex>
#include <set>
#include <sstream>

#include "common/visible_text.h"
#include "tests/support/fake_clock.h"

namespace buildwarden::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Rooms : ports::DiskViews,
               ports::BuilderViews,
               ports::JobViews,
               ports::EngineState,
               ports::ConfigViews,
               ports::EmulatorViews,
               ports::SavingsViews {
  ports::SavingsView savings;
  [[nodiscard]] ports::SavingsView savings_view() const override { return savings; }
  ports::DiskView disk;
  ports::BuildersView builders;
  ports::JobsView jobs;
  ports::EngineStatus engine;
  ports::ConfigView config;
  ports::EmulatorsView emulators;
  [[nodiscard]] ports::EmulatorsView emulators_view() const override { return emulators; }
  [[nodiscard]] ports::DiskView disk_view() const override { return disk; }
  [[nodiscard]] ports::BuildersView builders_view() const override { return builders; }
  [[nodiscard]] ports::JobsView jobs_view() const override { return jobs; }
  [[nodiscard]] ports::EngineStatus status() const override { return engine; }
  [[nodiscard]] ports::ConfigView config_view() const override { return config; }
};

ports::FilesystemSnapshot filesystem(const Now& now) {
  ports::FilesystemSnapshot disk;
  disk.mount = "/var/lib/docker";
  policy::Reading reading;
  reading.total = 100 * kGiB;
  reading.free = 20 * kGiB;
  reading.total_inodes = 1000;
  reading.free_inodes = 900;
  reading.at = now;
  disk.reading = reading;
  disk.pressure.level = policy::Level::kLow;
  disk.readings = 7;
  disk.failures = 2;
  disk.last_duration = Duration{3};
  return disk;
}

ports::RungStats rung(const std::string& name) {
  ports::RungStats stats;
  stats.rung = name;
  stats.runs = {{"freed", 0}, {"nothing", 0}, {"failed", 0}};
  return stats;
}

struct MetricsTest : ::testing::Test {
  testing::FakeClock clock;
  Rooms rooms;
  EventLog events{clock};
  Metrics metrics{{&rooms, &rooms, &rooms, &rooms, &events, &rooms, &rooms, nullptr, nullptr, &rooms}, "1.2.3"};
};

TEST_F(MetricsTest, PlatformsAreProvenOrNot) {
  rooms.emulators.emulators.resize(2);
  rooms.emulators.emulators[0].platform = "linux/arm64";
  rooms.emulators.emulators[0].state = policy::PlatformState::kProven;
  rooms.emulators.emulators[1].platform = "linux/s390x";
  rooms.emulators.restored["linux/arm64"] = 3;
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_emulator_proven{platform=\"linux/arm64\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_emulator_proven{platform=\"linux/s390x\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_emulator_restored_total{platform=\"linux/arm64\"} 3\n"));
}

// A sum that begins anew until it is loaded would be taken for less, and then for a leap.
TEST_F(MetricsTest, SavingsAreShownOnceTheyAreLoaded) {
  EXPECT_THAT(metrics.text(), Not(HasSubstr("saved_seconds_total")));
  std::vector<ports::SavingsOfKind> kinds(2);
  kinds[1].kind = policy::ThingKind::kCache;
  kinds[1].saved.total = {12.5, 2.5, 4096, 3};
  kinds[1].regretted.total = {8, 1, 0, 1};
  rooms.savings.host = kinds;
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("\nbuildwarden_saved_seconds_total{kind=\"cache\"} 12.5\n"));
  EXPECT_THAT(text, HasSubstr("\nbuildwarden_saved_seconds_total{kind=\"image\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nbuildwarden_saved_estimated_seconds_total{kind=\"cache\"} 2.5\n"));
  EXPECT_THAT(text, HasSubstr("\nbuildwarden_saved_bytes_total{kind=\"cache\"} 4096\n"));
  EXPECT_THAT(text, HasSubstr("\nbuildwarden_regretted_seconds_total{kind=\"cache\"} 8\n"));
  EXPECT_THAT(text, HasSubstr("\nbuildwarden_regretted_estimated_seconds_total{kind=\"cache\"} 1\n"));
}

TEST_F(MetricsTest, ReloadsAreCountedAndTheLastOneIsJudged) {
  rooms.config.loaded_at = clock.now().wall;
  rooms.config.taken = 3;
  auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_config_reloads_total{result=\"taken\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_config_reloads_total{result=\"refused\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_config_last_reload_success 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_config_loaded_timestamp_seconds 1767225600\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_config_restart_needed 0\n"));
  rooms.config.error = "no";
  rooms.config.restart_needed = {"listen.tcp", "listen.group"};
  text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_config_last_reload_success 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_config_restart_needed 2\n"));
}

TEST_F(MetricsTest, FoldersInWhichNothingIsDeletedAreCounted) {
  rooms.disk.refused_roots = {{"/a", "paths.builds", "why"}, {"/b", "disk.cache_dirs", "why"}};
  EXPECT_THAT(metrics.text(), HasSubstr("buildwarden_reclaim_refused_roots 2\n"));
}

TEST_F(MetricsTest, CountersAreThereAtZeroFromTheStart) {
  ports::BuilderView builder;
  builder.name = "s3";
  rooms.builders.builders.push_back(builder);
  rooms.disk.rungs = {rung("images"), rung("build_cache"), rung("dangling_images")};
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_refused_roots 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_runs_total{result=\"freed\",rung=\"images\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_runs_total{result=\"failed\",rung=\"build_cache\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaimed_bytes_total{rung=\"dangling_images\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_seconds_count{rung=\"images\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_builder_heals_total{builder=\"s3\",reason=\"exited\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_job_admissions_total{verdict=\"run\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_job_admissions_total{verdict=\"refuse\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_events_total{kind=\"disk.level\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_loop_stall_seconds_count 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_build_info{revision=\"unknown\",version=\"1.2.3\"} 1\n"));
}

TEST_F(MetricsTest, TheEnginesAnswersAreTimedByRoute) {
  EXPECT_THAT(metrics.text(), ::testing::Not(HasSubstr("engine_request_seconds")));
  metrics.engine_asked("GET", "/images/json", std::chrono::milliseconds{30});
  metrics.engine_asked("GET", "/images/json", std::chrono::milliseconds{2});
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_engine_request_seconds_count{method=\"GET\",route=\"/images/json\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_engine_request_duration_seconds_count"
                              "{method=\"GET\",route=\"/images/json\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_engine_request_seconds_bucket"
                              "{method=\"GET\",route=\"/images/json\",le=\"0.0025\"} 1\n"));
}

TEST_F(MetricsTest, AnswersAreTimedByRouteAndStatus) {
  metrics.http_answered("GET /v1/jobs/{id}", 200, std::chrono::milliseconds{2});
  metrics.http_answered("", 404, std::chrono::milliseconds{30});
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("http_request_duration_seconds_bucket"
                              "{code=\"200\",route=\"GET /v1/jobs/{id}\",le=\"0.001\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("http_request_duration_seconds_bucket"
                              "{code=\"200\",route=\"GET /v1/jobs/{id}\",le=\"0.005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("http_request_duration_seconds_count{code=\"404\",route=\"none\"} 1\n"));
}

// A scrape takes so many series and no more, whatever is asked.
TEST_F(MetricsTest, WhoAsksForMuchMakesNoSeriesWithoutEnd) {
  for (int status = 400; status < 600; ++status) metrics.http_answered("GET /", status, std::chrono::milliseconds{1});
  metrics.http_answered("GET /", 400, std::chrono::milliseconds{1});
  const auto text = metrics.text();
  std::size_t series = 0;
  for (auto at = text.find("_duration_seconds_count{code"); at != std::string::npos;
       at = text.find("_duration_seconds_count{code", at + 1)) {
    ++series;
  }
  EXPECT_EQ(series, Metrics::kMostHttpPairs + 1);
  EXPECT_THAT(text, HasSubstr("_duration_seconds_count{code=\"400\",route=\"GET /\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("_duration_seconds_count{code=\"other\",route=\"other\"} 152\n"));
}

TEST_F(MetricsTest, WaitsOfJobsAreToldByVerdict) {
  rooms.jobs.waits_of_admitted.add(Duration{5});
  rooms.jobs.waits_of_admitted.add(Duration{5'000});
  rooms.jobs.waits_of_refused.add(Duration{400'000});
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_job_wait_seconds_bucket{verdict=\"run\",le=\"0.01\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_job_wait_seconds_bucket{verdict=\"run\",le=\"5\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_job_wait_seconds_sum{verdict=\"run\"} 5.005\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_job_wait_seconds_bucket{verdict=\"refuse\",le=\"300\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_job_wait_seconds_count{verdict=\"refuse\"} 1\n"));
}

TEST_F(MetricsTest, RunningBuildsAreToldWhereTheyAreKnown) {
  rooms.builders.builders.resize(2);
  rooms.builders.builders[0].name = "s3";
  rooms.builders.builders[0].running_builds = 3;
  rooms.builders.builders[1].name = "other";
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_builder_running_builds{builder=\"s3\"} 3\n"));
  EXPECT_THAT(text, Not(HasSubstr("buildwarden_builder_running_builds{builder=\"other\"}")));
}

// Held against what the kernel says of this very process.
TEST_F(MetricsTest, TheProcessIsToldByTheUsualNames) {
  const auto text = metrics.text();
  const auto value = [&text](const std::string& name) {
    const auto at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 2));
  };
  EXPECT_GE(value("process_cpu_seconds_total"), 0);
  EXPECT_GT(value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(value("process_virtual_memory_bytes"), value("process_resident_memory_bytes"));
  const auto now = static_cast<double>(::time(nullptr));
  EXPECT_LE(value("process_start_time_seconds"), now + 2);
  EXPECT_GT(value("process_start_time_seconds"), now - 3600);
  EXPECT_GT(value("process_max_fds"), value("process_open_fds"));
  const auto before = value("process_open_fds");
  const int held = ::dup(1);
  const auto more = metrics.text();
  ::close(held);
  EXPECT_THAT(more, HasSubstr("process_open_fds " + std::to_string(static_cast<int>(before) + 1) + "\n"));
}

TEST_F(MetricsTest, EveryFamilyHasHelpAndTypeOnceAndTheyAreSorted) {
  rooms.disk.filesystems.push_back(filesystem(clock.now()));
  std::istringstream text(metrics.text());
  std::set<std::string> helped;
  std::set<std::string> typed;
  std::string last;
  for (std::string line; std::getline(text, line);) {
    std::smatch parts;
    if (std::regex_match(line, parts, std::regex("# HELP ((?:buildwarden|process)_[a-z_]+) [A-Z1].*\\."))) {
      EXPECT_TRUE(helped.insert(parts[1]).second) << line;
      EXPECT_LT(last, parts[1].str());
      last = parts[1];
    } else if (std::regex_match(line, parts,
                                std::regex("# TYPE ((?:buildwarden|process)_[a-z_]+) (counter|gauge|histogram)"))) {
      EXPECT_TRUE(typed.insert(parts[1]).second) << line;
      EXPECT_EQ(parts[2] == "counter", parts[1].str().ends_with("_total")) << line;
    } else {
      EXPECT_TRUE(std::regex_match(line, std::regex("(buildwarden|process)_[a-z_]+(\\{.*\\})? (-?[0-9.e+-]+|\\+Inf)")))
          << line;
    }
  }
  EXPECT_EQ(helped, typed);
  EXPECT_GE(helped.size(), 20U);
}

TEST_F(MetricsTest, ShowsADiskWithUnitsAndItsSensor) {
  rooms.disk.filesystems.push_back(filesystem(clock.now()));
  rooms.disk.filesystems[0].pressure.fill_bytes_per_second = 1048576;
  rooms.disk.filesystems[0].pressure.until_critical = Duration{90'500};
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("# HELP buildwarden_disk_free_bytes Bytes that an unprivileged writer may still have on "
                              "the filesystem.\n# TYPE buildwarden_disk_free_bytes gauge\n"
                              "buildwarden_disk_free_bytes{mount=\"/var/lib/docker\"} 21474836480\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_size_bytes{mount=\"/var/lib/docker\"} 107374182400\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_free_inodes{mount=\"/var/lib/docker\"} 900\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_level{level=\"low\",mount=\"/var/lib/docker\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_level{level=\"ok\",mount=\"/var/lib/docker\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_fill_bytes_per_second{mount=\"/var/lib/docker\"} 1048576\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_seconds_to_critical{mount=\"/var/lib/docker\"} 90.5\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_success{sensor=\"disk\",target=\"/var/lib/docker\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_duration_seconds{sensor=\"disk\",target=\"/var/lib/docker\"} 0.003"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_failures_total{sensor=\"disk\",target=\"/var/lib/docker\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_last_success_timestamp_seconds{sensor=\"disk\",target=\"/var/lib/"
                              "docker\"} 1767225600"));
}

TEST_F(MetricsTest, ShowsWhoHasTheDiskByKindAndItsMarks) {
  auto disk = filesystem(clock.now());
  disk.mount = "/";
  disk.reading->total = 1000;
  disk.reading->free = 100;
  disk.users = {{"images", "3 images", 500}, {"volume", "a", 100}, {"volume", "b", 50}};
  disk.marks = {100, 150, 250, 5, 6, 7};
  rooms.disk.filesystems = {disk};
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_used_bytes{kind=\"images\",mount=\"/\"} 500\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_used_bytes{kind=\"volume\",mount=\"/\"} 150\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_used_bytes{kind=\"unattributed\",mount=\"/\"} 250\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_mark_bytes{mark=\"critical\",mount=\"/\"} 100\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_mark_bytes{mark=\"target\",mount=\"/\"} 250\n"));
  rooms.disk.filesystems[0].error = "statvfs: no answer";
  EXPECT_THAT(metrics.text(), Not(HasSubstr("kind=\"unattributed\""))) << "of a stale reading";
}

// Prometheus refuses a scrape with one label that is no UTF-8, and a mount point may be of any bytes.
TEST_F(MetricsTest, ANameThatIsNoUtf8IsShownAndStaysItsOwn) {
  for (const auto* mount : {"/m\xff", "/m\\xff", "/m\xe9"}) {
    rooms.disk.filesystems.push_back(filesystem(clock.now()));
    rooms.disk.filesystems.back().mount = mount;
  }
  const auto text = metrics.text();
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(utf8_sequence(rest))) {
    ASSERT_NE(utf8_sequence(rest), 0U) << rest.substr(0, 40);
  }
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_free_bytes{mount=\"/m\\\\xff\"} "));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_free_bytes{mount=\"/m\\\\x5cxff\"} "));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_free_bytes{mount=\"/m\\\\xe9\"} "));
}

TEST_F(MetricsTest, EverySensorSaysHowItReads) {
  EXPECT_THAT(metrics.text(), Not(HasSubstr("buildwarden_sensor_"))) << "nothing was read yet";
  const auto began = std::chrono::steady_clock::now();
  rooms.engine.pings.note(true, began, clock.now().wall);
  rooms.engine.pings.note(false, began, clock.now().wall + std::chrono::seconds{9});
  rooms.builders.builders.resize(2);
  rooms.builders.builders[0].name = "s3";
  rooms.builders.builders[0].questions.note(true, began, clock.now().wall);
  rooms.builders.builders[1].name = "never_asked";
  rooms.emulators.comparisons.note(true, began, clock.now().wall);
  rooms.emulators.executions.note(false, began, clock.now().wall);
  const auto text = metrics.text();
  const std::string ping = "{sensor=\"engine\",target=\"ping\"} ";
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_success" + ping + "0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_duration_seconds" + ping));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_last_success_timestamp_seconds" + ping + "1767225600\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_readings_total" + ping + "2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_failures_total" + ping + "1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_success{sensor=\"builder\",target=\"s3\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("target=\"never_asked\"")));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_success{sensor=\"emulation\",target=\"handlers\"} 1\n"));
  const std::string never = "{sensor=\"emulation\",target=\"programs\"} ";
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_success" + never + "0\n"));
  EXPECT_THAT(text, Not(HasSubstr("buildwarden_sensor_last_success_timestamp_seconds" + never)));
}

TEST_F(MetricsTest, AStaleReadingIsNotShownAsFreeSpace) {
  rooms.disk.filesystems.push_back(filesystem(clock.now()));
  rooms.disk.filesystems[0].error = "statvfs: no answer for 5s";
  rooms.disk.filesystems[0].pressure.level = policy::Level::kUnknown;
  const auto text = metrics.text();
  EXPECT_THAT(text, Not(HasSubstr("buildwarden_disk_free_bytes")));
  EXPECT_THAT(text, HasSubstr("buildwarden_sensor_success{sensor=\"disk\",target=\"/var/lib/docker\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_level{level=\"unknown\",mount=\"/var/lib/docker\"} 1\n"));
}

TEST_F(MetricsTest, NeverFullIsInfiniteAndNoInodeLimitIsAbsent) {
  rooms.disk.filesystems.push_back(filesystem(clock.now()));
  rooms.disk.filesystems[0].reading->total_inodes = 0;
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_disk_seconds_to_critical{mount=\"/var/lib/docker\"} +Inf\n"));
  EXPECT_THAT(text, Not(HasSubstr("disk_free_inodes")));
}

TEST_F(MetricsTest, ShowsBuildersJobsEngineAndEvents) {
  ports::BuilderView builder;
  builder.name = "s3";
  builder.state = policy::BuilderState::kWarm;
  builder.leases = {"1", "2"};
  builder.heals_by_reason = {{"exited", 3}};
  builder.cache_bytes = 12;
  rooms.builders.builders = {builder};
  rooms.jobs.leases.resize(2);
  rooms.jobs.admitted = 5;
  rooms.jobs.refused = 1;
  rooms.engine.up = true;
  ports::Event event;
  event.kind = "builder.healed";
  events.record(event);
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_builder_up{builder=\"s3\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_builder_leases{builder=\"s3\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_builder_cache_bytes{builder=\"s3\"} 12\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_builder_heals_total{builder=\"s3\",reason=\"exited\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_jobs_running 2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_job_admissions_total{verdict=\"run\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_engine_up 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_events_total{kind=\"builder.healed\"} 1\n"));
}

TEST_F(MetricsTest, RungsAndStallsAreMeasured) {
  auto images = rung("images");
  images.runs["freed"] = 2;
  images.freed = 5 * kMiB;
  images.seconds_buckets[0] = 1;      // up to 10 ms
  images.seconds_buckets[3] = 2;      // up to 0.5 s
  images.seconds_buckets.back() = 1;  // beyond all bounds
  images.seconds_sum = 200.5;
  rooms.disk.rungs = {images};
  metrics.loop_stalled(std::chrono::milliseconds{30});
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_runs_total{result=\"freed\",rung=\"images\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaimed_bytes_total{rung=\"images\"} 5242880\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE buildwarden_reclaim_seconds histogram\n"
                              "buildwarden_reclaim_seconds_count{rung=\"images\"} 4\n"
                              "buildwarden_reclaim_seconds_sum{rung=\"images\"} 200.5\n"
                              "buildwarden_reclaim_seconds_bucket{rung=\"images\",le=\"0.01\"} 1\n"
                              "buildwarden_reclaim_seconds_bucket{rung=\"images\",le=\"0.05\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_seconds_bucket{rung=\"images\",le=\"0.5\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_seconds_bucket{rung=\"images\",le=\"120\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_reclaim_seconds_bucket{rung=\"images\",le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_loop_stall_seconds_bucket{le=\"0.025\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("buildwarden_loop_stall_seconds_bucket{le=\"0.05\"} 1\n"));
}

}  // namespace
}  // namespace buildwarden::telemetry
