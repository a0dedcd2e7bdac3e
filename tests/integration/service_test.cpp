// The program as systemd runs it: sockets that were passed, notifications, the watchdog, reloads, and the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>

#include "tests/support/fake_engine.h"
#include "tests/support/notify_socket.h"
#include "tests/support/plain_daemon.h"

namespace buildwarden::testing {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kRoomyDisk =
    "min_free: 1MiB, min_free_inodes: 1, reclaim_below: 2MiB, reclaim_to: 3MiB, ballast: 0B";

class ServiceIntegration : public PlainDaemonFixture {
 protected:
  void SetUp() override {
    PlainDaemonFixture::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directories(in("root"));
    engine_.restart("id-1", in("root"));
  }
  void write_conf(const std::string& more = "", const std::string& disk = kRoomyDisk) {
    write_yaml(
        engine_.socket(), disk,
        "agent: { user: \"0\", unit: \"\" }\nlisten: { socket: " + in("run/api.sock") + ", tcp: \"\" }\n" + more);
  }
  [[nodiscard]] std::map<std::string, std::string> notified() const { return {{"NOTIFY_SOCKET", systemd_.path()}}; }

  FakeEngine engine_;
  NotifySocket systemd_;
};

// A listening descriptor that a child inherits.
int listening_unix(const std::string& path) {
  const int made = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  EXPECT_EQ(::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::listen(made, 16), 0);
  return made;
}

int listening_tcp(std::string* url) {
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::listen(made, 16), 0);
  EXPECT_EQ(::getsockname(made, reinterpret_cast<sockaddr*>(&address), &length), 0);
  *url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  return made;
}

std::string curl(const std::string& arguments) {
  return run_shell("curl -s --max-time 120 -o /dev/null -w '%{http_code}' " + arguments).out;
}

TEST_F(ServiceIntegration, PassedSocketsWinAndOutliveTheDaemon) {
  write_conf();
  const auto path = in("passed.sock");
  std::string url;
  const int unix_socket = listening_unix(path);
  const int tcp_socket = listening_tcp(&url);
  const auto pass = "exec 3<&" + std::to_string(unix_socket) + " 4<&" + std::to_string(tcp_socket) +
                    "\nexport LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=api:tcp";
  for (const int round : {1, 2}) {
    start_daemon(pass, notified());
    // The queue holds a connection until the daemon is there, so nothing has to be waited for.
    EXPECT_EQ(curl("--unix-socket " + path + " http://localhost/healthz"), "200") << round;
    ASSERT_TRUE(systemd_.wait_for("READY=1")) << log();
    EXPECT_EQ(curl(url + "/healthz"), "200");
    EXPECT_EQ(curl("-X POST " + url + "/v1/jobs -d '{\"id\":\"1\"}'"), "405") << "TCP is for reading";
    EXPECT_FALSE(std::filesystem::exists(api_socket()));
    EXPECT_EQ(stop_daemon(), 0);
    EXPECT_TRUE(std::filesystem::exists(path)) << "not ours to remove";
    systemd_.take();
  }
  EXPECT_THAT(log(), HasSubstr("answering on the sockets that were passed, " + path));
  ::close(unix_socket);
  ::close(tcp_socket);
}

TEST_F(ServiceIntegration, SocketsOfAnotherProcessAreNotTaken) {
  write_conf();
  const int unix_socket = listening_unix(in("passed.sock"));
  start_daemon("exec 3<&" + std::to_string(unix_socket) + "\nexport LISTEN_PID=1 LISTEN_FDS=1");
  wait_until_it_answers();
  ::close(unix_socket);
}

TEST_F(ServiceIntegration, SystemdIsToldOfEachStep) {
  write_conf();
  auto env = notified();
  env["WATCHDOG_USEC"] = "400000";
  start_daemon("export WATCHDOG_PID=$$", env);
  ASSERT_TRUE(systemd_.wait_for("READY=1"));
  EXPECT_EQ(status("/healthz"), 200) << "directly after READY=1";
  ASSERT_TRUE(systemd_.wait_for("STATUS=/ ")) << "a line of state";
  systemd_.take();
  ASSERT_TRUE(systemd_.wait_for("WATCHDOG=1"));
  systemd_.take();
  ASSERT_TRUE(systemd_.wait_for("WATCHDOG=1")) << "and again";
  systemd_.take();
  daemon().send(SIGHUP);
  ASSERT_TRUE(systemd_.wait_for("READY=1"));
  auto told = systemd_.take();
  std::erase_if(told, [](const auto& text) { return text == "WATCHDOG=1" || text.starts_with("STATUS="); });
  EXPECT_THAT(told, ElementsAre(StartsWith("RELOADING=1\nMONOTONIC_USEC="), StartsWith("READY=1")));
  EXPECT_EQ(stop_daemon(), 0);
  EXPECT_TRUE(systemd_.wait_for("STOPPING=1"));
}

// Issue 14: whoever sent SIGUSR1 ended the daemon, without a word.
TEST_F(ServiceIntegration, AStraySignalEndsNothingAndAMistypedGroupIsSaid) {
  write_yaml(engine_.socket(), kRoomyDisk,
             "agent: { user: \"0\", unit: \"\" }\nlisten: { socket: " + in("run/api.sock") +
                 ", tcp: \"\", group: buildkite-agnet }\n");
  start_daemon();
  wait_until_it_answers();
  for (const int number : {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXFSZ, SIGRTMIN, SIGRTMAX}) {
    daemon().send(number);
    EXPECT_EQ(status("/healthz"), 200) << number;
  }
  EXPECT_THAT(query("/readyz", ".detail"), HasSubstr("listen.group: this machine has no group \"buildkite-agnet\""));
  EXPECT_EQ(status("/readyz"), 503);
  daemon().send(SIGQUIT);
  EXPECT_TRUE(eventually([this] { return log().find("stopping on SIGQUIT") != std::string::npos; })) << log();
  EXPECT_TRUE(eventually([this] { return log().find("stopped") != std::string::npos; })) << log();
}

TEST_F(ServiceIntegration, ABadFileKeepsTheOldConfigurationUntilItIsMended) {
  write_conf();
  start_daemon();
  wait_until_it_answers();
  ASSERT_TRUE(becomes("/readyz", ".ready", "true"));
  const auto active = [this] { return std::filesystem::exists(in("run/active")); };
  ASSERT_TRUE(eventually(active));
  const auto min_free = R"(.settings[] | select(.key == "disk.min_free") | .value)";

  write_conf("nonsense: 1\n", "min_free: 2MiB, grace: soon");
  ASSERT_TRUE(becomes("/readyz", ".not_ready[].part", "config"));
  EXPECT_THAT(query("/readyz", ".detail"), HasSubstr("disk.grace"));
  EXPECT_EQ(status("/readyz"), 503);
  EXPECT_EQ(query("/v1/config", min_free), "1MiB");
  EXPECT_THAT(get("/metrics"), HasSubstr("\nbuildwarden_config_last_reload_success 0\n"));
  EXPECT_THAT(get("/metrics"), HasSubstr("\nbuildwarden_config_reloads_total{result=\"refused\"} 1\n"));
  EXPECT_THAT(query("/v1/events", R"(.events[] | select(.kind == "config.refused") | .fields.errors)"),
              HasSubstr("nonsense"));
  EXPECT_THAT(log(), HasSubstr(" error config.refused"));
  daemon().send(SIGHUP);
  EXPECT_TRUE(active()) << "the old configuration is at work";

  write_conf("", "min_free: 3MiB, min_free_inodes: 1, reclaim_below: 4MiB, reclaim_to: 5MiB, ballast: 0B");
  ASSERT_TRUE(becomes("/v1/config", min_free, "3MiB"));
  EXPECT_EQ(status("/readyz"), 200);
  EXPECT_THAT(get("/metrics"), HasSubstr("\nbuildwarden_config_last_reload_success 1\n"));
  EXPECT_EQ(stop_daemon(), 0);
}

TEST_F(ServiceIntegration, ADryRunComesAndGoesWhileItRuns) {
  write_conf();
  start_daemon();
  wait_until_it_answers();
  const auto active = [this] { return std::filesystem::exists(in("run/active")); };
  ASSERT_TRUE(eventually(active));
  write_conf("dry_run: true\n");
  ASSERT_TRUE(becomes("/v1/status", ".dry_run", "true"));
  EXPECT_FALSE(active()) << "the stack's own units work again";
  write_conf("dry_run: false\nlisten_to_nobody: 1\n");
  ASSERT_TRUE(becomes("/readyz", ".not_ready[].part", "config"));
  EXPECT_EQ(query("/v1/status", ".dry_run"), "true");
  write_conf();
  ASSERT_TRUE(becomes("/v1/status", ".dry_run", "false"));
  EXPECT_TRUE(eventually(active));
}

// The stack's boot restarts the engine and starts its units directly afterwards.
TEST_F(ServiceIntegration, TheOldUnitsStandDownWhileTheEngineIsAwayForAWhile) {
  write_conf();
  engine_.stop();
  start_daemon();
  wait_until_it_answers();
  const auto active = [this] { return std::filesystem::exists(in("run/active")); };
  ASSERT_TRUE(becomes("/readyz", R"(.not_ready[] | .part | select(. == "engine"))", "engine"));
  EXPECT_FALSE(active()) << "it was never at work";
  engine_.restart("id-1", in("root"));
  ASSERT_TRUE(eventually(active)) << log();
  engine_.stop();
  ASSERT_TRUE(becomes("/readyz", R"(.not_ready[] | .part | select(. == "engine"))", "engine"));
  EXPECT_TRUE(active());
  engine_.restart("id-1", in("root"));
  ASSERT_TRUE(becomes("/readyz", ".ready", "true"));
  EXPECT_TRUE(active());
}

TEST_F(ServiceIntegration, TheLogFollowsItsLevel) {
  write_conf("log: { level: error, format: journald }\n");
  start_daemon();
  wait_until_it_answers();
  EXPECT_EQ(log(), "");
  write_conf("log: { level: info, format: text }\n");
  ASSERT_TRUE(becomes("/v1/status", ".config.restart_needed[]", "log.format"));
  EXPECT_THAT(log(), HasSubstr("<4>config.reloaded")) << "by the new level, in the old format";
  EXPECT_EQ(query("/v1/config", R"(.settings[] | select(.key == "log.format") | .value, .after_restart)"),
            "journald\ntext");
}

// A reclaim whose deletion the engine never answers.
TEST_F(ServiceIntegration, EndsWithinFiveSecondsInTheMiddleOfAReclaim) {
  engine_.replace("GET /v1.45/images/json",
                  FakeAnswer::json(200, R"([{"Id":"sha256:a","Size":1000000,"Created":1,"RepoTags":["old:1"]}])"));
  engine_.replace("GET /v1.45/images/old:1/json", FakeAnswer::json(200, R"({"Id":"sha256:a"})"));
  engine_.replace("DELETE /v1.45/images/", FakeAnswer::hang());
  write_conf("", std::string(kRoomyDisk) + ", keep_used_within: 0s, grace: 0s");
  start_daemon();
  wait_until_it_answers();
  ASSERT_TRUE(becomes("/v1/status", ".engine.up", "true"));
  const auto asked = [this] {
    return query("/v1/disk/reclaim", ".operation // .reason",
                 "-X POST -d '{\"target_free_bytes\":4611686018427387904}'");
  };
  ASSERT_TRUE(eventually(
      [&] {
        asked();
        return engine_.count("DELETE /v1.45/images/old:1") > 0;
      },
      kTestPatience))
      << asked() << log();
  EXPECT_EQ(query("/v1/status", ".reclaiming"), "true");
  EXPECT_EQ(stop_daemon(), 0) << log();
  EXPECT_FALSE(std::filesystem::exists(api_socket()));
  EXPECT_FALSE(std::filesystem::exists(in("run/active")));
}

}  // namespace
}  // namespace buildwarden::testing
