// A writer that is killed at any moment leaves a whole database, with all that it was told is saved.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <random>

#include "common/clock.h"
#include "daemon/state/state_file.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::state {
namespace {

constexpr std::uint64_t kEventsInBatch = 10;
constexpr int kRows = 300;  // more than one transaction

std::vector<ports::RecordedEvent> batch_events(std::uint64_t batch) {
  std::vector<ports::RecordedEvent> events;
  for (std::uint64_t at = 0; at < kEventsInBatch; ++at) {
    ports::RecordedEvent one;
    one.id = batch * kEventsInBatch + at + 1;
    one.event.kind = "reclaim.step";
    one.event.reason = std::string(600, 'r');
    events.push_back(one);
  }
  return events;
}

std::vector<ports::LedgerRow> batch_rows(std::uint64_t batch) {
  std::vector<ports::LedgerRow> rows;
  for (int at = 0; at < kRows; ++at) {
    rows.push_back({"sha256:" + std::to_string(1'000 + at), WallTime{Duration{batch}}, Duration{0}, "container start"});
  }
  return rows;
}

// Writes batches for ever, and each number to `told` once its batch is saved.
[[noreturn]] void write_for_ever(const std::string& path, std::uint64_t batch, int told) {
  const SystemClock clock;
  StateFile state(path, clock);
  for (;; ++batch) {
    if (!state.append_events(batch_events(batch)) || !state.save_rows("one", batch_rows(batch))) ::_exit(1);
    if (::write(told, &batch, sizeof batch) != sizeof batch) ::_exit(1);
  }
}

class Writer {
 public:
  Writer(const std::string& path, std::uint64_t batch) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_ = ::fork();
    if (pid_ == 0) write_for_ever(path, batch, ends[1]);
    ::close(ends[1]);
    told_ = ends[0];
  }
  // Follows it for `time`, then kills it; the last batch that it was told is saved.
  std::optional<std::uint64_t> kill_after(std::chrono::microseconds time) {
    std::optional<std::uint64_t> last;
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      pollfd waiting{told_, POLLIN, 0};
      if (::poll(&waiting, 1, 1) > 0) last = next(last);
    }
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    for (auto more = next(std::nullopt); more; more = next(std::nullopt)) last = more;
    ::close(told_);
    return last;
  }

 private:
  std::optional<std::uint64_t> next(std::optional<std::uint64_t> otherwise) const {
    std::uint64_t batch = 0;
    return ::read(told_, &batch, sizeof batch) == sizeof batch ? batch : otherwise;
  }
  pid_t pid_ = -1;
  int told_ = -1;
};

int rounds() {
  const char* const wanted = std::getenv("BUILDWARDEN_SOAK_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
  return wanted == nullptr ? 20 : std::atoi(wanted);                  // NOLINT(cert-err34-c): ours
}

TEST(Kill, AtAnyMomentLosesNothingThatWasSaved) {
  const testing::TempFolder folder;
  const auto path = folder.path() + "/ledger.db";
  const SystemClock clock;
  std::mt19937 random(20261123);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same moments each time
  std::uniform_int_distribution<int> microseconds(0, 150'000);
  std::optional<std::uint64_t> saved;
  for (int round = 0; round < rounds(); ++round) {
    Writer writer(path, saved ? *saved + 1 : 0);
    const auto told = writer.kill_after(std::chrono::microseconds{microseconds(random)});
    if (told) saved = told;
    StateFile state(path, clock);  // opening it checks it
    const auto stored = state.load_events(100'000);
    ASSERT_TRUE(stored) << round << ": " << stored.error().message();
    const auto rows = state.load_rows("one");
    ASSERT_TRUE(rows) << round << ": " << rows.error().message();
    ASSERT_TRUE(state.take_notices().empty()) << round << ": it was damaged";
    ASSERT_EQ(stored->events.size() % kEventsInBatch, 0U) << round << ": half a batch";
    if (!saved) continue;
    ASSERT_GE(stored->events.back().id, (*saved + 1) * kEventsInBatch) << round;
    ASSERT_EQ(rows->size(), static_cast<std::size_t>(kRows)) << round;
    for (const auto& row : *rows) ASSERT_GE(row.last_used, WallTime{Duration{*saved}}) << round << " " << row.id;
  }
  EXPECT_TRUE(saved) << "no round was long enough to save anything";
}

}  // namespace
}  // namespace buildwarden::state
