// The real daemon with an engine's socket that is absent, silent, full of garbage or coming and going: the disk is
// watched all the while, readiness says what is wrong, and everything resumes by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <thread>

#include "tests/support/command.h"
#include "tests/support/fake_http_server.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

// An engine that answers as it is told, on a loop and a thread of its own.
class ScriptedEngine {
 public:
  ScriptedEngine() : server_(loop_), thread_([this] { run(); }) {}
  ~ScriptedEngine() {
    loop_.stop();
    thread_.join();
  }
  ScriptedEngine(const ScriptedEngine&) = delete;
  ScriptedEngine& operator=(const ScriptedEngine&) = delete;

  [[nodiscard]] std::string socket() const { return server_.path(); }
  void stop() {
    on_loop([this] { server_.stop(); });
  }
  // From now on it listens, and every request gets this.
  void answer_all(const FakeAnswer& answer) {
    on_loop([this, answer] {
      server_.stop();
      for (const char* const request : {"GET /_ping", "GET /v1.45/info", "GET /v1.45/events", "GET /"})
        server_.replace(request, answer);
      server_.listen();
    });
  }
  void answer_properly() {
    on_loop([this] {
      server_.stop();
      server_.replace("GET /_ping", FakeAnswer::json(200, "\"OK\"", "Api-Version: 1.45\r\n"));
      server_.replace("GET /v1.45/info",
                      FakeAnswer::json(200, R"({"ID":"id-1","DockerRootDir":"/nonexistent","ServerVersion":"26.1.5",)"
                                            R"("SecurityOptions":[]})"));
      server_.replace("GET /v1.45/events", FakeAnswer::stream());
      server_.replace("GET /v1.45/events?since=0.000000001&until=", FakeAnswer::json(200, ""));
      server_.replace("GET /", FakeAnswer::json(200, "[]"));
      server_.listen();
    });
  }
  // What is under way gets no more of an answer.
  void break_off() {
    on_loop([this] { server_.stop(); });
  }

 private:
  void run() {
    const auto forever = boost::asio::make_work_guard(loop_);
    loop_.run();
  }
  template <class Work>
  void on_loop(Work work) {
    std::atomic<bool> done = false;
    boost::asio::post(loop_, [&] {
      work();
      done = true;
    });
    while (!done) std::this_thread::yield();
  }

  boost::asio::io_context loop_;
  FakeHttpServer server_;
  std::thread thread_;
};

class DiskGuardSocket : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* const program = std::getenv("BUILDWARDEN_BIN");  // NOLINT(concurrency-mt-unsafe)
    if (program == nullptr) GTEST_SKIP() << "tests/run names the program";
    const auto& dir = folder_.path();
    std::ofstream(dir + "/buildwarden.yaml")
        << "disk: { watch: [ { path: " << dir << ", gate: true } ], min_free: 1MiB, min_free_inodes: 1, "
        << "reclaim_below: 2MiB, reclaim_to: 3MiB, ballast: 0B }\n"
        << "builders: []\nemulation: { platforms: [] }\nagent: { user: \"0\", group: \"0\", unit: \"\" }\n"
        << "engine: { socket: " << engine_.socket() << " }\n"
        << "listen: { socket: " << dir << "/api.sock, tcp: \"\" }\n"
        << "paths: { run: " << dir << "/run, state: " << dir << "/state, builds: " << dir << "/builds, cfn_env: " << dir
        << "/none, agent_env: " << dir << "/none, daemon_json: " << dir << "/none, docker_binfmt_env: " << dir
        << "/none }\n";
    engine_.stop();
    daemon_ = std::make_unique<BackgroundProcess>(
        std::vector<std::string>{program, "serve", "--config", dir + "/buildwarden.yaml"}, dir + "/daemon.log");
    ASSERT_TRUE(eventually([this] { return status("/healthz") == "200"; })) << log();
  }
  void TearDown() override {
    if (HasFailure()) std::cout << log();
    if (!daemon_) return;
    daemon_->send(SIGTERM);
    EXPECT_EQ(daemon_->wait(), 0) << "it stops whatever the engine does";
  }
  [[nodiscard]] std::string curl(const std::string& path, const std::string& more = "") const {
    return run_shell("curl -s --max-time 120 --unix-socket " + folder_.path() + "/api.sock " + more +
                     " http://localhost" + path)
        .out;
  }
  [[nodiscard]] std::string status(const std::string& path) const {
    return curl(path, "-o /dev/null -w '%{http_code}'");
  }
  [[nodiscard]] std::string log() const { return read_text(folder_.path() + "/daemon.log"); }
  [[nodiscard]] std::string measured_at() const {
    return run_shell("curl -s --max-time 120 --unix-socket " + folder_.path() +
                     "/api.sock http://localhost/v1/disk | jq -r '.filesystems[] | select(.gate) | "
                     "\"\\(.level) \\(.measured_at)\"'")
        .out;
  }
  void expect_watched_and_not_ready(const std::string& reason) const {
    const auto says_so = [&] { return curl("/readyz").find(reason) != std::string::npos; };
    EXPECT_TRUE(eventually(says_so)) << reason << "\n" << curl("/readyz");
    EXPECT_EQ(status("/readyz"), "503");
    const auto before = measured_at();
    EXPECT_THAT(before, HasSubstr("ok ")) << curl("/v1/disk");
    EXPECT_TRUE(eventually([&] { return measured_at() != before; })) << "the disk is measured on";
  }
  void expect_ready() const {
    EXPECT_TRUE(eventually([this] { return curl("/v1/status").find("\"up\":true") != std::string::npos; }))
        << curl("/v1/status");
  }

  TempFolder folder_;
  ScriptedEngine engine_;
  std::unique_ptr<BackgroundProcess> daemon_;
};

TEST_F(DiskGuardSocket, EveryKindOfSickEngineIsAStateAndIsOver) {
  expect_watched_and_not_ready("Connection refused");
  engine_.answer_properly();
  expect_ready();
  engine_.break_off();
  expect_watched_and_not_ready("engine");

  engine_.answer_all(FakeAnswer::hang());
  expect_watched_and_not_ready("no answer in time");
  engine_.answer_properly();
  expect_ready();

  engine_.answer_all(FakeAnswer::raw(std::string("\x16\x03\x01\0\xff\xfe garbage \0\r\n\r\n", 21)));
  expect_watched_and_not_ready("engine");
  engine_.answer_properly();
  expect_ready();

  // Garbage where an answer of the right kind is due; then without end.
  engine_.answer_all(FakeAnswer::json(200, R"({"ID":7,"DockerRootDir":null)", "Api-Version: 1.45\r\n"));
  expect_watched_and_not_ready("engine");
  engine_.answer_all(FakeAnswer::raw(std::string(65'536, 'x'), FakeAnswer::Then::kRepeat));
  expect_watched_and_not_ready("engine");
  engine_.answer_properly();
  expect_ready();
}

}  // namespace
}  // namespace buildwarden::testing
