// What the daemon knows again after it ended, well or not: the real program, without an engine.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>

#include "common/clock.h"
#include "daemon/state/operation_file.h"
#include "tests/support/command.h"
#include "tests/support/fake_journal.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

using testing::eventually;
using testing::run_shell;

class StateRestart : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* const program = std::getenv("BUILDWARDEN_BIN");  // NOLINT(concurrency-mt-unsafe)
    if (program == nullptr) GTEST_SKIP() << "tests/run says where the program is";
    program_ = program;
    state_ = folder_.path() + "/state";
  }
  void start() {
    const auto& dir = folder_.path();
    std::ofstream(dir + "/c.yaml")
        << "disk: { watch: [ { path: " << dir << ", gate: true } ], min_free: 1MiB, min_free_inodes: 10 }\n"
        << "builders: []\nemulation: { platforms: [] }\nagent: { user: \"0\", group: \"0\", unit: \"\" }\n"
        << "engine: { socket: " << dir << "/docker.sock }\n"
        << "listen: { socket: " << dir << "/run/api.sock, tcp: \"\" }\n"
        << "paths: { run: " << dir << "/run, state: " << state_ << ", images: " << dir << ", builds: " << dir
        << "/builds, cfn_env: " << dir << "/cfn-env, agent_env: " << dir << "/agent-env, daemon_json: " << dir
        << "/daemon.json, docker_binfmt_env: " << dir << "/docker-binfmt.env }\n";
    daemon_ = std::make_unique<testing::BackgroundProcess>(
        std::vector<std::string>{program_, "serve", "--config", dir + "/c.yaml"}, dir + "/log");
    ASSERT_TRUE(eventually([this] { return ask("/healthz", ".status") == "ok"; })) << testing::read_text(dir + "/log");
  }
  int stop() {
    daemon_->send(SIGTERM);
    return daemon_->wait();
  }
  void kill() {
    daemon_->send(SIGKILL);
    daemon_->wait();
  }
  [[nodiscard]] std::string ask(const std::string& path, const std::string& filter) const {
    auto text = run_shell("curl -s --max-time 120 --unix-socket " + folder_.path() + "/run/api.sock 'http://localhost" +
                          path + "' | jq -c '" + filter + "'")
                    .out;
    while (!text.empty() && (text.back() == '\n' || text.back() == '"')) text.pop_back();
    return text.starts_with('"') ? text.substr(1) : text;
  }
  // How many events of a kind the journal has.
  [[nodiscard]] std::string count(const std::string& kind) const {
    return ask("/v1/events", "[.events[] | select(.kind == \"" + kind + "\")] | length");
  }
  [[nodiscard]] bool numbers_only_grow() const {
    return ask("/v1/events", "[.events[].id] | . == (sort | unique)") == "true";
  }
  [[nodiscard]] bool is_saved(const std::string& kind) const {
    return run_shell("grep -aq " + kind + " " + state_ + "/ledger.db-wal " + state_ + "/ledger.db").exit_code == 0;
  }

  testing::TempFolder folder_;
  std::string program_;
  std::string state_;
  std::unique_ptr<testing::BackgroundProcess> daemon_;
};

TEST_F(StateRestart, EventsAreThereAfterACleanStopAndNumbersGoOn) {
  start();
  EXPECT_TRUE(eventually([this] { return count("daemon.started") == "1"; }));
  const auto last = std::stoull(ask("/v1/events", ".last_id"));
  EXPECT_EQ(stop(), 0);
  start();
  ASSERT_TRUE(eventually([this] { return count("daemon.started") == "2"; }));
  EXPECT_EQ(count("daemon.stopped"), "1");
  EXPECT_EQ(count("daemon.unclean_end"), "0");
  EXPECT_TRUE(numbers_only_grow());
  const auto begun = ask("/v1/events", "[.events[] | select(.kind == \"daemon.stopped\")][0].id");
  EXPECT_GE(std::stoull(begun), last + 1);
  EXPECT_LE(std::stoull(begun), last + 10);
  EXPECT_EQ(ask("/v1/events?since=" + begun, ".events[0].id"), std::to_string(std::stoull(begun) + 1));
}

TEST_F(StateRestart, KilledAtAnyMomentItsStateIsNeverDamaged) {
  const char* const wanted = std::getenv("BUILDWARDEN_SOAK_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
  const int rounds = wanted == nullptr ? 20 : std::atoi(wanted);      // NOLINT(cert-err34-c): ours
  std::mt19937 random(20261123);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same moments each time
  std::uniform_int_distribution<int> milliseconds(0, 1'300);
  for (int round = 0; round < rounds; ++round) {
    start();
    const auto end = std::chrono::milliseconds{milliseconds(random)};
    eventually([] { return false; }, end);
    kill();
  }
  start();
  ASSERT_TRUE(eventually([&] { return ask("/v1/status", ".last_event_id") != "0"; }));
  const auto last = std::stoull(ask("/v1/events", ".last_id"));
  EXPECT_GT(last, 0U);
  EXPECT_EQ(ask("/v1/status", ".state.journal_error"), "null");
  EXPECT_EQ(count("state.set_aside"), "0");
  EXPECT_TRUE(numbers_only_grow());
  EXPECT_EQ(run_shell("ls " + state_ + " | grep -c damaged").out, "0\n");
}

TEST_F(StateRestart, AKilledDaemonIsToldOf) {
  start();
  ASSERT_TRUE(eventually([this] { return is_saved("daemon.started"); }));
  kill();
  start();
  ASSERT_TRUE(eventually([this] { return count("daemon.unclean_end") == "1"; }));
  EXPECT_EQ(count("daemon.started"), "2");
  EXPECT_TRUE(numbers_only_grow());
  EXPECT_EQ(stop(), 0);
}

TEST_F(StateRestart, AnOperationThatRanIsInterrupted) {
  {
    // What a daemon that was killed in the middle of it leaves.
    testing::FakeJournal journal;
    const SystemClock clock;
    state::OperationFile file({folder_.path() + "/run"}, clock, journal);
    ports::StoredOperation running;
    running.id = "0123456789abcdef";
    running.kind = "reclaim";
    running.started = clock.now();
    ASSERT_TRUE(file.save_operations({running}));
  }
  start();
  EXPECT_EQ(ask("/v1/operations/0123456789abcdef", ".state"), "interrupted");
  EXPECT_EQ(ask("/v1/operations/0123456789abcdef", ".result.code"), "interrupted");
}

TEST_F(StateRestart, ADiskWithoutAFreeBlockIsSeenSurvivedAndUsedAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  const testing::SmallDisk disk("ext4", 64);
  state_ = disk.path() + "/state";
  disk.fill();
  ASSERT_EQ(disk.free_blocks(), 0U);
  start();
  EXPECT_TRUE(eventually([this] { return ask("/v1/status", ".state.journal_error") != "null"; }));
  EXPECT_TRUE(eventually([this] { return count("state.not_saved") == "1"; }));
  disk.empty();
  EXPECT_TRUE(eventually([this] { return count("state.saved_again") == "1"; }));
  EXPECT_EQ(ask("/v1/status", ".state.journal_error"), "null");
  // From here on it has its room.
  disk.fill();
  ASSERT_EQ(disk.free_blocks(), 0U);
  EXPECT_EQ(stop(), 0);
  start();
  EXPECT_TRUE(eventually([this] { return count("daemon.started") == "2"; }));
  EXPECT_EQ(count("daemon.stopped"), "1");
  EXPECT_EQ(ask("/v1/status", ".state.journal_error"), "null");
  EXPECT_EQ(stop(), 0);
  daemon_.reset();
}

TEST_F(StateRestart, AStateFolderThatMayOnlyBeReadIsSeenSurvivedAndUsedAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  const testing::SmallDisk disk("ext4", 64);
  state_ = disk.path() + "/state";
  const auto remount = [&disk](unsigned long how) {
    return ::mount("", disk.path().c_str(), "", MS_REMOUNT | how, "");
  };
  ASSERT_EQ(remount(MS_RDONLY), 0);
  start();
  EXPECT_TRUE(eventually([this] { return ask("/v1/status", ".state.journal_error") != "null"; }));
  EXPECT_EQ(ask("/healthz", ".") == "", false);
  ASSERT_EQ(remount(0), 0);
  EXPECT_TRUE(eventually([this] { return count("state.saved_again") == "1"; }));
  EXPECT_EQ(ask("/v1/status", ".state.journal_error"), "null");
  EXPECT_EQ(stop(), 0);
  daemon_.reset();
}

}  // namespace
}  // namespace buildwarden
