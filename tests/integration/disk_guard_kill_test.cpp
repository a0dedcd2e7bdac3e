// The engine and the daemon are killed at any moment: everything resumes, nothing in use is lost, no last use is
// forgotten.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <sstream>

#include "common/clock.h"
#include "daemon/state/state_store.h"
#include "tests/support/command.h"
#include "tests/support/fake_journal.h"
#include "tests/support/guard_fixture.h"
#include "tests/support/loop.h"

namespace buildwarden::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class DiskGuardKill : public GuardFixture {
 protected:
  void make_images(int count, int mib) const {
    for (int i = 0; i < count; ++i) make_image(name_of(i), mib);
  }
  [[nodiscard]] static std::string name_of(int i) { return "many/i" + std::to_string(10 + i) + ":1"; }
  // Ages in seconds by image name, of everything that a dry run with an unreachable target would delete.
  [[nodiscard]] std::map<std::string, double> ages() const;
  [[nodiscard]] std::int64_t target() const {
    return std::stoll(query("/v1/disk", ".filesystems[0].marks.target_bytes"));
  }
  void engine_stop(const std::string& signal) const {
    const auto stopped = run_shell(sandbox() + " engine-stop " + dir() + " " + signal);
    ASSERT_EQ(stopped.exit_code, 0) << stopped.out;
  }
  void engine_start() const {
    const auto started = run_shell(sandbox() + " engine-start " + dir());
    ASSERT_EQ(started.exit_code, 0) << started.out;
  }
  void wait_until_ready() const {
    ASSERT_TRUE(eventually([this] { return api_status("/readyz") == 200; })) << api("/readyz") << log();
  }
  [[nodiscard]] static WallTime wall_now() { return SystemClock().now().wall; }
  // What the ledger has on the disk, by image name; while no daemon runs.
  [[nodiscard]] std::map<std::string, WallTime> saved_uses() const;
  // Until the ledger on the disk, as a kill would leave it, knows of a use of the image since then.
  void wait_until_saved(const std::string& image, WallTime since) const;
  void kill_daemon() {
    daemon().send(SIGKILL);
    daemon().wait();
  }
};

std::map<std::string, double> DiskGuardKill::ages() const {
  const auto before = query("/v1/status", ".last_event_id");
  const auto planned = reclaim(true);
  std::istringstream lines(
      query("/v1/events?since=" + before,
            ".events[] | select(.kind == \"reclaim.step\") | .fields | select(.rung == \"images\") "
            "| \"\\(.name) \\(.age_seconds)\""));
  std::map<std::string, double> ages;
  std::string name;
  double age = 0;
  while (lines >> name >> age) ages[name] = age;
  return ages;
}

std::map<std::string, WallTime> DiskGuardKill::saved_uses() const {
  std::istringstream images(on_engine("docker images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}'"));
  std::map<std::string, std::string> names;
  for (std::string id, name; images >> id >> name;) names[id] = name;
  std::istringstream info(on_engine("docker info --format '{{.ID}} {{.DockerRootDir}}'"));
  std::string scope;
  std::getline(info, scope);
  const SystemClock clock;
  FakeJournal journal;
  boost::asio::io_context loop;
  state::StateStore store(dir() + "/state", clock, journal);
  const auto rows = run_on(loop, store.load(scope));
  EXPECT_TRUE(rows) << rows.error().message();
  EXPECT_TRUE(journal.events.empty()) << journal.events[0].reason;
  std::map<std::string, WallTime> uses;
  if (!rows) return uses;
  for (const auto& row : *rows) {
    if (names.contains(row.id)) uses[names[row.id]] = row.last_used;
  }
  return uses;
}

void DiskGuardKill::wait_until_saved(const std::string& image, WallTime since) const {
  const auto id = on_engine("docker image inspect -f '{{.Id}}' " + image);
  const auto look =
      "cd " + dir() + "; rm -rf copy; cp -r state copy; python3 -c 'import sqlite3; " +
      "rows = sqlite3.connect(\"copy/ledger.db\").execute(\"SELECT max(last_used) FROM ledger WHERE id = " +
      "?\", (\"" + id.substr(0, id.find('\n')) + "\",)); print(rows.fetchone()[0])' 2> /dev/null";
  const auto wanted = std::to_string(since.time_since_epoch().count());
  // The copy of a file that is just written may be none: the next one is.
  const auto saved = [&] {
    auto seen = run_shell(look).out;
    seen = seen.substr(0, seen.find('\n'));
    return seen.size() == wanted.size() && seen >= wanted;
  };
  ASSERT_TRUE(eventually(saved)) << image << log();
}

// In the middle of a reclaim the engine dies; it comes back, and so does the reclaim.
TEST_F(DiskGuardKill, AReclaimResumesAfterTheEngineWasKilled) {
  start_daemon(guard_options("2s", "1s"));
  make_images(16, 40);
  make_image("busy/x:1", 40);
  on_engine("docker run -d --network none --restart always --name holds busy/x:1");
  const auto all_old = [this] { return ages().size() >= 16; };
  ASSERT_TRUE(eventually(all_old)) << api("/v1/events?since=0");
  // Killed between the plan and its end: the writer leaves it much to do. Sixteen deletions take less time than to ask
  // what was done, so the engine is held at the first that shows.
  const auto engine = static_cast<pid_t>(std::stol(read_text(dir() + "/docker.pid")));
  fill_disk_until(100 * kTestMiB);
  ASSERT_TRUE(eventually([this] { return free_bytes() > 120 * kTestMiB; }));
  ASSERT_EQ(::kill(engine, SIGSTOP), 0);
  engine_stop("KILL");
  const auto done_before = steps();
  ASSERT_TRUE(eventually([this] { return api_status("/readyz") == 503; }));
  EXPECT_THAT(api("/readyz"), HasSubstr("\"engine\""));
  EXPECT_LT(free_bytes(), target()) << "killed too late: " << described(done_before);
  engine_start();
  ASSERT_TRUE(eventually([this] { return free_bytes() >= target(); })) << api("/v1/events?since=0");
  wait_until_ready();
  EXPECT_TRUE(has_image("busy/x:1"));
  EXPECT_TRUE(eventually([this] { return on_engine("docker inspect -f '{{.State.Running}}' holds") == "true\n"; }));
  const auto done = steps();
  EXPECT_GT(done.size(), done_before.size());
  auto names = names_of(done, "images");
  for (const auto& name : names) EXPECT_FALSE(has_image(name)) << name;
  std::sort(names.begin(), names.end());
  EXPECT_TRUE(std::adjacent_find(names.begin(), names.end()) == names.end()) << described(done);
  std::cout << "[ figures  ] " << done_before.size() << " steps before the kill, " << done.size() << " in all\n";
}

// What happens to images while nobody looks is a use all the same.
TEST_F(DiskGuardKill, WhatWasUsedWhileTheDaemonOrTheEngineWasDownIsNotOld) {
  start_daemon(guard_options("4s", "2s"));
  make_images(6, 1);
  const auto all_old = [this] {
    const auto found = ages();
    return found.size() == 6 &&
           std::all_of(found.begin(), found.end(), [](const auto& one) { return one.second > 15; });
  };
  ASSERT_TRUE(eventually(all_old));

  // The daemon is away for a moment: an image is used, one gets a second name, a container is made of a third.
  EXPECT_EQ(stop_daemon(), 0);
  const auto away_since = wall_now();
  use(name_of(0));
  on_engine("docker tag " + name_of(1) + " many/again:1; docker create --name made " + name_of(2));
  start_daemon(guard_options("4s", "2s"));
  wait_until_ready();
  ASSERT_TRUE(eventually([this] { return ages().contains(name_of(5)); })) << "the others stay old";
  auto old = ages();
  const auto since_then = std::chrono::duration<double>(wall_now() - away_since).count();
  for (const auto& name : {name_of(0), name_of(1), std::string("many/again:1"), name_of(2)}) {
    EXPECT_LT(old.contains(name) ? old[name] : 0, since_then) << name;
  }
  EXPECT_GT(old[name_of(5)], 15);

  // Both are away, and the engine comes back without its memory of events: nothing may count as old.
  EXPECT_EQ(stop_daemon(), 0);
  use(name_of(3));
  engine_stop("TERM");
  engine_start();
  start_daemon(guard_options("1h", "2s"));
  wait_until_ready();
  ASSERT_TRUE(eventually([this] { return !reasons("ledger.gap").empty(); })) << log();
  EXPECT_TRUE(ages().empty());

  // The engine alone is away: what was used before is as old as it was, what is used after is young.
  EXPECT_EQ(stop_daemon(), 0);
  start_daemon(guard_options("3s", "2s"));
  wait_until_ready();
  ASSERT_TRUE(eventually([this] { return ages().size() >= 5; }));
  engine_stop("TERM");
  engine_start();
  const auto engine_back = wall_now();
  use(name_of(4));
  wait_until_ready();
  ASSERT_TRUE(eventually([&] { return (old = ages()).contains(name_of(5)); }));
  EXPECT_LT(old[name_of(4)], std::chrono::duration<double>(wall_now() - engine_back).count());
  EXPECT_GT(old[name_of(5)], old[name_of(4)]);
}

// Rounds of BUILDWARDEN_SOAK_ROUNDS (20): a use, and a SIGKILL at a random moment, sooner or later than the ledger's
// next batch.
TEST_F(DiskGuardKill, NoKillOfTheDaemonForgetsALastUseOlderThanOneBatch) {
  const char* const wanted = std::getenv("BUILDWARDEN_SOAK_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
  const int rounds = wanted != nullptr ? std::stoi(wanted) : 20;
  const auto seed = std::random_device{}();
  std::cout << "[ figures  ] seed " << seed << ", " << rounds << " rounds\n";
  std::mt19937 random(seed);
  constexpr int kImages = 5;
  make_images(kImages, 1);
  std::map<std::string, WallTime> used;     // when each image's last use began
  std::map<std::string, WallTime> durable;  // of those that a batch had saved
  int ages_checked = 0;
  int rows_checked = 0;
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    start_daemon(guard_options("1s", "0s"));
    wait_until_ready();
    EXPECT_EQ(reasons("state.set_aside"), "");
    EXPECT_EQ(reasons("ledger.gap"), "");
    for (const auto& [name, age] : ages()) {
      if (!used.contains(name)) continue;
      const auto truth = std::chrono::duration<double>(wall_now() - used[name]).count();
      EXPECT_LE(age, truth) << "the last use of " << name << " was forgotten";
      ++ages_checked;
    }
    const auto name = name_of(static_cast<int>(random() % kImages));
    used[name] = wall_now();
    use(name);
    const bool long_enough = random() % 3 == 0;
    if (long_enough) ASSERT_NO_FATAL_FAILURE(wait_until_saved(name, used[name]));
    std::this_thread::sleep_for(milliseconds{random() % (long_enough ? 500 : 1500)});
    kill_daemon();
    if (long_enough) durable[name] = used[name];
    const auto rows = saved_uses();
    for (const auto& [image, when] : durable) {
      EXPECT_GE(rows.contains(image) ? rows.at(image) : WallTime{}, when) << image;
      ++rows_checked;
    }
  }
  EXPECT_GT(ages_checked, 0);
  EXPECT_GT(rows_checked, 0);
  std::cout << "[ figures  ] " << ages_checked << " ages and " << rows_checked
            << " saved uses checked; state: " << run_shell("ls -s " + dir() + "/state | tr '\\n' ' '").out << "\n";
}

}  // namespace
}  // namespace buildwarden::testing
