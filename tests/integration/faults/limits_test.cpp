// The engine freezes or floods, the daemon meets its limits: nothing is lost, and it goes on where it was.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "tests/support/api_poller.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/guard_fixture.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

class Limits : public GuardFixture {
 protected:
  void start_whole() {
    make_image("used:1", 2);
    on_engine("docker run -d --name keeper --network none used:1 /busybox sleep 1000");
    start_daemon();
    wait_until_warm();
    ASSERT_TRUE(eventually([this] { return is_whole(); })) << api("/readyz");
  }
  [[nodiscard]] std::string engine_socket() const override {
    return dir() + (proxied_ ? "/proxy.sock" : "/docker.sock");
  }
  [[nodiscard]] bool is_whole() const { return api_status("/readyz") == 200 && builder_is_warm(); }
  [[nodiscard]] pid_t engine_pid() const { return std::stoi(read_text(dir() + "/docker.pid")); }
  void limit(__rlimit_resource which, rlim_t amount) {
    rlimit wanted{};
    ASSERT_EQ(::prlimit(daemon().pid(), which, nullptr, &wanted), 0);
    wanted.rlim_cur = std::min(amount, wanted.rlim_max);
    ASSERT_EQ(::prlimit(daemon().pid(), which, &wanted, nullptr), 0);
  }
  [[nodiscard]] std::size_t open_files() {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(daemon().pid()) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  bool proxied_ = false;
};

// BUILDWARDEN_FREEZE_SECONDS: for how long; unless told, until the daemon takes it for lost.
TEST_F(Limits, AFrozenEngineHoldsUpNobody) {
  start_whole();
  const char* told = std::getenv("BUILDWARDEN_FREEZE_SECONDS");
  const seconds frozen{told == nullptr ? 0 : std::atoi(told)};
  ApiPoller poller(api_socket(), "/v1/disk");
  const auto engine = engine_pid();
  ASSERT_EQ(::kill(engine, SIGSTOP), 0);
  const auto froze_at = std::chrono::steady_clock::now();
  // A job meanwhile: its builder is a process of its own.
  const auto job = job_shell("eval \"$(buildwarden job start --id frozen --use s3)\" && docker build \"$DIR/context\"");
  EXPECT_EQ(job.exit_code, 0) << job.out;
  const auto held = [&] { return std::chrono::steady_clock::now() - froze_at; };
  EXPECT_TRUE(eventually([&] { return held() >= frozen && query("/v1/status", ".engine.up") == "false"; },
                         frozen + kTestPatience));
  const auto lasted = std::chrono::duration<double>(held()).count();
  const auto heals = query("/v1/builders/s3", ".heals // 0");
  ASSERT_EQ(::kill(engine, SIGCONT), 0);
  ASSERT_TRUE(eventually([this] { return is_whole() && query("/v1/status", ".engine.up") == "true"; }))
      << api("/readyz") << log();
  poller.stop();
  std::cout << "engine frozen for " << lasted << " s: " << poller.summary() << "\n";
  EXPECT_EQ(poller.failures(), 0);
  EXPECT_EQ(query("/v1/builders/s3", ".heals // 0"), heals);
  EXPECT_EQ(on_engine("docker inspect -f '{{.State.Running}}' keeper"), "true\n");
}

// Events of the engine's kind among the engine's own, 1,000 a second for five seconds.
TEST_F(Limits, AFloodOfEventsIsReadAndDelaysNoAnswer) {
  FaultProxy proxy(dir() + "/proxy.sock", dir() + "/docker.sock");
  proxied_ = true;
  start_whole();
  const auto image = on_engine("docker image inspect -f '{{.Id}}' used:1");
  const auto id = image.substr(0, image.find('\n'));
  const auto before = std::stoll(query("/v1/status", ".last_event_id"));
  ApiPoller poller(api_socket(), "/v1/status");
  const auto begun = std::chrono::steady_clock::now();
  constexpr int kEvents = 5'000;
  for (int i = 0; i < kEvents; ++i) {
    const auto now =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch());
    proxy.inject("GET /events", R"({"Type":"image","Action":"tag","Actor":{"ID":")" + id +
                                    R"(","Attributes":{"name":"used:1"}},"time":)" +
                                    std::to_string(now.count() / 1'000'000'000) + R"(,"timeNano":)" +
                                    std::to_string(now.count()) + "}\n");
    std::this_thread::sleep_until(begun + (i + 1) * std::chrono::milliseconds{1});
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  // Behind all of them: an event that changes what is seen.
  on_engine("docker rm -f buildx_buildkit_s30 > /dev/null");
  EXPECT_TRUE(eventually([&] { return std::stoll(query("/v1/status", ".last_event_id")) > before && is_whole(); }));
  poller.stop();
  std::printf("%.0f events a second for %.1f s: %s\n", kEvents / took.count(), took.count(), poller.summary().c_str());
  EXPECT_EQ(poller.failures(), 0);
  EXPECT_EQ(query("/v1/events?since=0", "[.events[] | select(.kind == \"engine.lost\")] | length"), "0");
  ASSERT_EQ(stop_daemon(), 0);
}

// Connections beyond the limit are refused or wait; those that are served are served, and afterwards all is as before.
TEST_F(Limits, WithoutDescriptorsItGoesOnWhenThereAreSomeAgain) {
  start_whole();
  limit(RLIMIT_NOFILE, open_files() + 2);
  const auto crowd = run_shell("for i in $(seq 40); do curl -s -m 3 --unix-socket " + api_socket() +
                               " http://d/v1/events?since=0 -H 'Accept: text/event-stream' > /dev/null & done; wait");
  EXPECT_TRUE(daemon().running()) << crowd.out;
  EXPECT_EQ(on_engine("docker inspect -f '{{.State.Running}}' keeper"), "true\n");
  limit(RLIMIT_NOFILE, 1024);
  ASSERT_TRUE(eventually([this] { return is_whole(); })) << api("/readyz") << log();
}

// Without memory it may end; it never goes on half, and what it had promised is there after its restart.
TEST_F(Limits, WithoutMemoryItsLeasesOutliveIt) {
  start_whole();
  ASSERT_EQ(job_shell("buildwarden job start --id kept --use s3 --ttl 1h >/dev/null").exit_code, 0);
  const auto used =
      std::stoll(run_shell("awk '/^VmSize/{print $2*1024}' /proc/" + std::to_string(daemon().pid()) + "/status").out);
  limit(RLIMIT_AS, static_cast<rlim_t>(used));
  run_shell("for i in $(seq 60); do curl -s -m 2 --unix-socket " + api_socket() +
            " http://d/v1/status -o /dev/null & done; wait");
  // A body that must be held whole, and a plan on a worker.
  run_shell("head -c 60000 /dev/zero | tr '\\0' x > " + dir() +
            "/big; for i in $(seq 30); do curl -s -m 2 --unix-socket " + api_socket() +
            " http://d/v1/disk/reclaim -d @" + dir() + "/big -o /dev/null & done; wait; curl -s -m 5 --unix-socket " +
            api_socket() + " http://d/v1/disk/reclaim -d '{\"dry_run\":true}' -o /dev/null; true");
  const bool survived = daemon().running() && api_status("/healthz") == 200;
  std::cout << "no memory beyond what it has: " << (survived ? "it goes on" : "it ended") << "\n";
  if (daemon().running()) {
    limit(RLIMIT_AS, RLIM_INFINITY);
  } else {
    start_daemon();
  }
  ASSERT_TRUE(eventually([this] { return is_whole(); })) << api("/readyz") << log();
  EXPECT_EQ(query("/v1/jobs", "[.jobs[].id] | join(\",\")"), "kept");
}

}  // namespace
}  // namespace buildwarden::testing
