#include "daemon/state/state_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>

#include "common/atomic_file.h"
#include "daemon/state/sqlite.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::state {
namespace {

using testing::run_on;
using Rows = std::vector<ports::LedgerRow>;

ports::LedgerRow row(const std::string& id, std::int64_t at) {
  return ports::LedgerRow{id, WallTime{Duration{at}}, Duration{at / 2}, "why " + id};
}

ports::RecordedEvent recorded(std::uint64_t id) {
  ports::RecordedEvent made;
  made.id = id;
  made.at = WallTime{Duration{1'000 + static_cast<std::int64_t>(id)}};
  made.event.kind = "disk.level";
  made.event.reason = "because of " + std::to_string(id);
  return made;
}

class StateStoreTest : public ::testing::Test {
 protected:
  StateStoreTest() { open(); }
  void open() {
    store_.reset();
    store_ = std::make_unique<StateStore>(folder_.path() + "/state", clock_, journal_);
  }
  [[nodiscard]] std::string file() const { return folder_.path() + "/state/ledger.db"; }
  Result<void> save(const std::string& scope, const Rows& rows) { return run_on(loop_, store_->save(scope, rows)); }
  Rows load(const std::string& scope) {
    const auto rows = run_on(loop_, store_->load(scope));
    EXPECT_TRUE(rows) << rows.error().message();
    return rows ? *rows : Rows{};
  }
  std::vector<ports::RecordedEvent> events(std::size_t most = 100) {
    auto stored = run_on(loop_, store_->load_events(most));
    EXPECT_TRUE(stored) << stored.error().message();
    if (!stored) return {};
    EXPECT_TRUE(stored->complete);
    return std::move(stored->events);
  }
  [[nodiscard]] std::size_t set_aside() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/state")) {
      const auto name = entry.path().filename().string();
      if (name.starts_with("ledger.db.damaged-") && !name.ends_with("-wal")) ++count;
    }
    return count;
  }

  testing::TempFolder folder_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  std::unique_ptr<StateStore> store_;
};

TEST_F(StateStoreTest, EventsBeforeOneAreTheLatestOfThem) {
  const auto ids = [&](std::uint64_t before, std::size_t most) {
    std::vector<std::uint64_t> some;
    const auto found = run_on(loop_, store_->events_before(before, most));
    EXPECT_TRUE(found);
    for (const auto& event : found ? *found : std::vector<ports::RecordedEvent>{}) some.push_back(event.id);
    return some;
  };
  using Ids = std::vector<std::uint64_t>;
  EXPECT_EQ(ids(7, 3), Ids{});
  ASSERT_TRUE(run_on(loop_, store_->append_events({recorded(2), recorded(4), recorded(5), recorded(9)})));
  EXPECT_EQ(ids(9, 2), (Ids{4, 5}));
  EXPECT_EQ(ids(5, 10), (Ids{2, 4}));
  EXPECT_EQ(ids(2, 10), Ids{});
  EXPECT_EQ(ids(1'000, 1), Ids{9});
}

TEST_F(StateStoreTest, RowsComeBackAfterARestartByScope) {
  EXPECT_TRUE(load("one").empty());
  ASSERT_TRUE(save("one", {row("a", 10), row("b", 20)}));
  for (const auto* suffix : {"", "-wal"}) {
    struct stat info{};
    ASSERT_EQ(::stat((file() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << "whom it names is nobody else's: " << suffix;
  }
  ASSERT_TRUE(save("two", {row("a", 30)}));
  ASSERT_TRUE(save("one", {row("a", 40)}));
  open();
  const auto rows = load("one");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].id, "a");
  EXPECT_EQ(rows[0].last_used, WallTime{Duration{40}});
  EXPECT_EQ(rows[0].observed, Duration{20});
  EXPECT_EQ(rows[0].why, "why a");
  EXPECT_EQ(load("two").size(), 1U);
  EXPECT_TRUE(journal_.events.empty());
}

TEST_F(StateStoreTest, ForgottenRowsAreGone) {
  ASSERT_TRUE(save("one", {row("a", 10), row("b", 20)}));
  ASSERT_TRUE(run_on(loop_, store_->forget("one", std::vector<std::string>{"a", "unknown"})));
  open();
  const auto rows = load("one");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].id, "b");
}

TEST_F(StateStoreTest, ALedgerOfTheFirstVersionIsReadAndHasEventsFromThenOn) {
  std::filesystem::create_directories(folder_.path() + "/state");
  {
    auto old = Connection::open(file());
    ASSERT_TRUE(old);
    ASSERT_TRUE(old->execute(
        "PRAGMA journal_mode=WAL; BEGIN;"
        "CREATE TABLE ledger (scope TEXT NOT NULL, id TEXT NOT NULL, last_used INTEGER NOT NULL, observed INTEGER NOT "
        "NULL, why TEXT NOT NULL, PRIMARY KEY (scope, id)) WITHOUT ROWID;"
        "INSERT INTO ledger VALUES ('one', 'a', 10, 5, 'why a');"
        "PRAGMA application_id=1113017415; PRAGMA user_version=1; COMMIT;"));
  }
  const auto rows = load("one");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].why, "why a");
  EXPECT_TRUE(run_on(loop_, store_->append_events({recorded(1)})));
  open();
  EXPECT_EQ(load("one").size(), 1U);
  EXPECT_EQ(events().size(), 1U);
  EXPECT_EQ(set_aside(), 0U);
}

TEST_F(StateStoreTest, EventsComeBackAsTheyWere) {
  auto first = recorded(7);
  first.event.severity = ports::Severity::kError;
  first.event.rule = "rule";
  first.event.fields = {{"zeta", std::int64_t{5}}, {"alpha", 2.0},
                        {"dry_run", true},         {"text", std::string("\"\xff\n")},
                        {"empty", std::string()},  {"most", std::numeric_limits<std::int64_t>::max()}};
  ASSERT_TRUE(run_on(loop_, store_->append_events({first, recorded(8)})));
  open();
  const auto loaded = events();
  ASSERT_EQ(loaded.size(), 2U);
  EXPECT_EQ(loaded[0].id, 7U);
  EXPECT_EQ(loaded[0].at, first.at);
  EXPECT_EQ(loaded[0].event.kind, first.event.kind);
  EXPECT_EQ(loaded[0].event.severity, ports::Severity::kError);
  EXPECT_EQ(loaded[0].event.rule, "rule");
  EXPECT_EQ(loaded[0].event.reason, first.event.reason);
  EXPECT_EQ(loaded[0].event.fields, first.event.fields);
  EXPECT_EQ(loaded[1].id, 8U);
}

TEST_F(StateStoreTest, EventsGivenTwiceAreKeptOnceAndTheLatestAreLoaded) {
  ASSERT_TRUE(run_on(loop_, store_->append_events({recorded(1), recorded(2), recorded(3)})));
  ASSERT_TRUE(run_on(loop_, store_->append_events({recorded(2), recorded(3), recorded(1'764'000'000)})));
  const auto loaded = events(2);
  ASSERT_EQ(loaded.size(), 2U);
  EXPECT_EQ(loaded[0].id, 3U);
  EXPECT_EQ(loaded[1].id, 1'764'000'000U);
  EXPECT_EQ(events().size(), 4U);
}

TEST_F(StateStoreTest, AnEventWhoseFieldsAreDamagedIsStillAnEvent) {
  ASSERT_TRUE(run_on(loop_, store_->append_events({recorded(1)})));
  store_.reset();
  {
    auto other = Connection::open(file());
    ASSERT_TRUE(other);
    ASSERT_TRUE(other->execute("UPDATE events SET fields = '{\"a\":[1],\"b\":2', severity = 9"));
  }
  open();
  const auto loaded = events();
  ASSERT_EQ(loaded.size(), 1U);
  EXPECT_TRUE(loaded[0].event.fields.empty());
  EXPECT_EQ(loaded[0].event.severity, ports::Severity::kError);
}

class DamagedTest : public StateStoreTest {
 protected:
  void damage(const std::function<void(const std::string&)>& how) {
    ASSERT_TRUE(save("one", {row("a", 10)}));
    store_.reset();
    how(file());
    open();
    EXPECT_TRUE(load("one").empty());
    EXPECT_EQ(set_aside(), 1U);
    ASSERT_EQ(journal_.count("state.set_aside"), 1U);
    EXPECT_NE(journal_.last("state.set_aside").reason.find("ledger.db.damaged-2026-01-01T"), std::string::npos);
    ASSERT_TRUE(save("one", {row("a", 20)}));
    open();
    EXPECT_EQ(load("one").size(), 1U);
    EXPECT_EQ(set_aside(), 1U);
  }
};

TEST_F(DamagedTest, AFileThatIsNoDatabaseIsSetAside) {
  damage([](const std::string& path) { std::ofstream(path, std::ios::trunc) << std::string(5'000, 'x'); });
}

TEST_F(DamagedTest, ATornFileIsSetAside) {
  damage([](const std::string& path) { std::filesystem::resize_file(path, 100'000); });
}

TEST_F(DamagedTest, AnOverwrittenPageIsSetAside) {
  damage([](const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(8192, '\xff');
  });
}

TEST_F(DamagedTest, AnotherProgramsDatabaseIsSetAside) {
  damage([](const std::string& path) {
    std::filesystem::remove(path);
    auto foreign = Connection::open(path);
    ASSERT_TRUE(foreign);
    ASSERT_TRUE(foreign->execute("CREATE TABLE theirs (x)"));
  });
}

TEST_F(DamagedTest, ANewerVersionIsSetAside) {
  damage([](const std::string& path) {
    auto newer = Connection::open(path);
    ASSERT_TRUE(newer);
    ASSERT_TRUE(newer->execute("PRAGMA user_version=4"));
  });
}

// Found by the fuzzer: SQLite has no code of its own for it.
TEST_F(DamagedTest, AFileOfAnotherFormatIsSetAside) {
  damage([](const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(18);  // the file format's versions, sqlite.org/fileformat2.html
    file << "\x2f\x13";
  });
}

TEST_F(DamagedTest, AFileOfAFormatThatMayOnlyBeReadIsSetAside) {
  damage([](const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(18);
    file << "\x7f";
  });
}

TEST_F(DamagedTest, ADatabaseThatLacksATableIsSetAside) {
  damage([](const std::string& path) {
    auto ours = Connection::open(path);
    ASSERT_TRUE(ours);
    ASSERT_TRUE(ours->execute("DROP TABLE events"));
  });
}

TEST_F(StateStoreTest, AnEmptyFileIsBegunWithoutAWord) {
  std::filesystem::create_directories(folder_.path() + "/state");
  std::ofstream{file()};
  ASSERT_TRUE(save("one", {row("a", 10)}));
  EXPECT_EQ(set_aside(), 0U);
}

TEST_F(StateStoreTest, ADatabaseThatSomebodyElseHoldsIsNotSetAside) {
  ASSERT_TRUE(save("one", {row("a", 10)}));
  StateStore second(folder_.path() + "/state", clock_, journal_);
  const auto rows = run_on(loop_, second.load("one"));
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), Errc::kConflict);
  EXPECT_NE(second.error(), "");
  EXPECT_EQ(set_aside(), 0U);
  store_.reset();
  EXPECT_TRUE(run_on(loop_, second.load("one")));
  EXPECT_EQ(second.error(), "");
}

TEST_F(StateStoreTest, AStoreThatCannotWriteIsAnErrorAndRecovers) {
  std::ofstream{folder_.path() + "/state"};  // a file where the folder should be
  const auto saved = save("one", {row("a", 10)});
  ASSERT_FALSE(saved);
  EXPECT_NE(store_->error(), "");
  std::filesystem::remove(folder_.path() + "/state");
  EXPECT_TRUE(save("one", {row("a", 10)}));
  EXPECT_EQ(store_->error(), "");
}

TEST_F(StateStoreTest, APlaceThatIsNoFileIsSetAside) {
  std::filesystem::create_directories(file());
  EXPECT_TRUE(save("one", {row("a", 10)}));
  EXPECT_EQ(set_aside(), 1U);
}

TEST_F(StateStoreTest, EventsSayWhetherEarlierOnesAreLost) {
  ASSERT_TRUE(run_on(loop_, store_->append_events({recorded(1)})));
  store_.reset();
  std::ofstream(file(), std::ios::trunc) << std::string(5'000, 'x');
  open();
  const auto stored = run_on(loop_, store_->load_events(10));
  ASSERT_TRUE(stored);
  EXPECT_TRUE(stored->events.empty());
  EXPECT_FALSE(stored->complete);
}

// Holds up the thread that asks it, as a dead disk does.
class Gate final : public Clock {
 public:
  [[nodiscard]] Now now() const override {
    std::unique_lock lock(mutex_);
    opened_.wait(lock, [this] { return open_; });
    return {};
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable opened_;
  bool open_ = false;
};

TEST_F(StateStoreTest, WhileTheDiskDoesNotAnswerNobodyWaitsForItAgain) {
  std::filesystem::create_directories(folder_.path() + "/state");
  std::ofstream(file()) << "damaged";
  Gate gate;  // it is asked when the file is set aside
  StateStore hung(folder_.path() + "/state", gate, journal_);
  const auto first = std::chrono::steady_clock::now();
  const auto loaded = run_on(loop_, hung.load_events(10));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code(), Errc::kTimeout);
  const auto begun = std::chrono::steady_clock::now();
  for (int turn = 0; turn < 100; ++turn) {
    const auto saved = run_on(loop_, hung.save("one", Rows{row("a", 10)}));
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().code(), Errc::kTimeout);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 20 * (begun - first)) << "a hundred after the one that waited";
  EXPECT_EQ(hung.error(), "the disk has not answered yet");
  gate.open();
  const auto end = std::chrono::steady_clock::now() + testing::kTestPatience;
  while (!run_on(loop_, hung.save("one", Rows{row("a", 10)}))) ASSERT_LT(std::chrono::steady_clock::now(), end);
  EXPECT_EQ(hung.error(), "");
  EXPECT_EQ(journal_.count("state.set_aside"), 1U);
}

}  // namespace
}  // namespace buildwarden::state
