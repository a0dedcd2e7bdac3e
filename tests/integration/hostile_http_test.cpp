// Hostile clients on both sockets of the real program, for as long as one likes: it lives, its memory stays flat, and
// root, the scrape and a follower of the events are served throughout (issue 14).
// BUILDWARDEN_HOSTILE_SECONDS: for how long, 20 unless told.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>

#include "tests/support/api_poller.h"
#include "tests/support/hostile_clients.h"
#include "tests/support/plain_daemon.h"
#include "tests/unit/api/raw_client.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // and so is the daemon, whose memory is then mostly the sanitizer's
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

constexpr long kMostGrowth = 16 * 1024;   // KiB of Pss, from the end of the first quarter to the end
constexpr long kMostMemory = 128 * 1024;  // KiB of the largest resident set

class HostileHttp : public PlainDaemonFixture {
 protected:
  void SetUp() override {
    PlainDaemonFixture::SetUp();
    if (IsSkipped()) return;
    if (::geteuid() != 0) GTEST_SKIP() << "it attacks as another user, so it begins as root";
    std::filesystem::permissions(in(""), std::filesystem::perms(0755));
    std::filesystem::create_directory(in("watched"));
    write_yaml(in("no-engine.sock"),
               "watch: [ { path: " + in("watched") + ", gate: true } ], min_free: 1MiB, min_free_inodes: 1, " +
                   "reclaim_below: 2MiB, reclaim_to: 3MiB, ballast: 0B",
               "agent: { user: \"2000\", group: \"2000\", unit: \"\" }\n" + ("listen: { socket: " + api_socket()) +
                   ", tcp: \"127.0.0.1:0\" }\n");
    start_daemon();
    wait_until_it_answers();
    const std::string before = "TCP port ";
    const auto said = log();
    port_ = static_cast<std::uint16_t>(std::stoi(said.substr(said.find(before) + before.size())));
  }

  [[nodiscard]] static seconds time() {
    const char* told = std::getenv("BUILDWARDEN_HOSTILE_SECONDS");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    return seconds{told == nullptr ? 20 : std::atoi(told)};
  }
  // KiB.
  [[nodiscard]] long memory(const std::string& file, const std::string& key) {
    const auto found =
        run_shell("awk '/^" + key + ":/{print $2}' /proc/" + std::to_string(daemon().pid()) + "/" + file);
    return found.out.empty() ? -1 : std::stol(found.out);
  }
  [[nodiscard]] std::string tcp() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // A value of the metrics, "" without one.
  [[nodiscard]] std::string metric(const std::string& series) const {
    return run_shell("curl -s --unix-socket " + api_socket() + " http://localhost/metrics | grep -v '^#' | grep -F '" +
                     series + " ' | awk '{printf \"%s\", $2}'")
        .out;
  }

 private:
  std::uint16_t port_ = 0;
};

void wait_for(seconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds{50});
}

// Mutations: with Beast's own reading of chunks it ends within a second; with one quota for all root is refused.
TEST_F(HostileHttp, NeitherEndsItNorSwellsItNorKeepsItFromOthers) {
  auto follower = api::RawClient::unix_socket(api_socket());
  follower.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
  ASSERT_EQ(follower.read_until("\r\n\r\n").substr(0, 15), "HTTP/1.1 200 OK");
  const auto at_first = memory("smaps_rollup", "Pss");
  const HostileTarget target{api_socket(), port()};
  HostileClients on_unix(target, HostileClients::Side::kUnix);
  HostileClients on_tcp(target, HostileClients::Side::kTcp);
  ApiPoller root(api_socket(), "/healthz", true);
  ApiPoller status(api_socket(), "/v1/status");
  ApiPoller scrape(tcp(), "/metrics", true);
  wait_for(time() / 4);
  const auto before = memory("smaps_rollup", "Pss");
  wait_for(time() - time() / 4);
  const auto after = memory("smaps_rollup", "Pss");
  for (auto* poller : {&root, &status, &scrape}) poller->stop();
  for (auto* clients : {&on_unix, &on_tcp}) {
    clients->stop();
    std::cout << clients->connections() << " connections, " << clients->most_held() << " at once, " << clients->rounds()
              << " rounds\n";
    EXPECT_GT(clients->rounds(), 0U);
    for (const auto& surprise : clients->surprises()) ADD_FAILURE() << surprise;
  }
  std::cout << "root: " << root.summary() << "\nroot: " << status.summary() << "\nscrape: " << scrape.summary()
            << "\nPss " << at_first << " -> " << before << " -> " << after << " KiB, at most "
            << memory("status", "VmHWM") << " KiB resident\n";
  std::cout
      << run_shell("curl -s --unix-socket " + api_socket() + " http://localhost/metrics | grep ^buildwarden_http").out;
  EXPECT_EQ(status.failures() + root.failures(), 0);
  EXPECT_LT(root.quantile(0.99), 1'000);
  EXPECT_GT(scrape.answers(), 50U);
  // It comes from the crowd's own address, and may be taken for one of it. Prometheus asks again.
  EXPECT_LT(scrape.failures() * 10, static_cast<int>(scrape.answers()));
  EXPECT_TRUE(kSanitized || after < before + kMostGrowth);
  EXPECT_TRUE(kSanitized || memory("status", "VmHWM") < kMostMemory);
  EXPECT_FALSE(follower.is_closed_now()) << "the follower of the events was dropped";
  EXPECT_EQ(metric("buildwarden_loop_exceptions_total"), "0");
  EXPECT_EQ(metric("buildwarden_http_failures_total{reason=\"connection\"}"), "0");
  EXPECT_EQ(stop_daemon(), 0);
}

}  // namespace
}  // namespace buildwarden::testing
