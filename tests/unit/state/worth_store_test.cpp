// What was learned of worth, in the same file as the ledger.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>

#include "daemon/state/sqlite.h"
#include "daemon/state/state_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::state {
namespace {

using testing::run_on;

class WorthStoreTest : public ::testing::Test {
 protected:
  WorthStoreTest() { open(); }
  void open() {
    store_.reset();
    store_ = std::make_unique<StateStore>(folder_.path() + "/state", clock_, journal_);
  }
  [[nodiscard]] std::string file() const { return folder_.path() + "/state/ledger.db"; }
  std::size_t ledger_rows() {
    const auto rows = run_on(loop_, store_->load("one"));
    EXPECT_TRUE(rows) << rows.error().message();
    return rows ? rows->size() : 0;
  }

  testing::TempFolder folder_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  std::unique_ptr<StateStore> store_;
};

TEST_F(WorthStoreTest, ALedgerOfTheSecondVersionKeepsItsRowsAndLearnsWorth) {
  std::filesystem::create_directories(folder_.path() + "/state");
  {
    auto old = Connection::open(file());
    ASSERT_TRUE(old);
    ASSERT_TRUE(old->execute(
        "PRAGMA journal_mode=WAL; BEGIN;"
        "CREATE TABLE ledger (scope TEXT NOT NULL, id TEXT NOT NULL, last_used INTEGER NOT NULL, observed INTEGER NOT "
        "NULL, why TEXT NOT NULL, PRIMARY KEY (scope, id)) WITHOUT ROWID;"
        "CREATE TABLE events (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, severity INTEGER NOT "
        "NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, fields TEXT NOT NULL);"
        "INSERT INTO ledger VALUES ('one', 'a', 10, 5, 'why a');"
        "INSERT INTO events VALUES (1, 7, 'disk.level', 0, 'rule', 'because', '{}');"
        "PRAGMA application_id=1113017415; PRAGMA user_version=2; COMMIT;"));
  }
  ASSERT_EQ(ledger_rows(), 1U);
  const auto events = run_on(loop_, store_->load_events(100));
  ASSERT_TRUE(events);
  EXPECT_EQ(events->events.size(), 1U);
  EXPECT_TRUE(events->complete) << "nothing was set aside";
  ASSERT_TRUE(run_on(loop_, store_->save_worth("one", {ports::WorthRow{"image a", {}, 12.5}})));
  open();
  EXPECT_EQ(ledger_rows(), 1U);
  const auto worth = run_on(loop_, store_->load_worth("one"));
  ASSERT_TRUE(worth);
  EXPECT_EQ(worth->size(), 1U);
  EXPECT_EQ(journal_.count("state.set_aside"), 0U);
}

TEST_F(WorthStoreTest, WorthComesBackAsItWas) {
  ports::WorthRow seen;
  seen.id = "slot s3 00000000000000ff";
  seen.history.use = policy::UseHistory{WallTime{Duration{10}}, WallTime{Duration{90}}, 7, Duration{13}};
  seen.history.unchanged = 4;
  seen.seconds = 8.191;
  ports::WorthRow unseen = seen;
  unseen.id = "image a";
  unseen.seconds.reset();
  ASSERT_TRUE(run_on(loop_, store_->save_worth("one", {seen, unseen})));
  open();
  auto rows = run_on(loop_, store_->load_worth("one"));
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_FALSE(rows->at(0).seconds);
  const auto& use = rows->at(1).history.use;
  EXPECT_EQ(rows->at(1).id, seen.id);
  EXPECT_EQ(use.first_seen, WallTime{Duration{10}});
  EXPECT_EQ(use.last_use, WallTime{Duration{90}});
  EXPECT_EQ(use.uses, 7U);
  EXPECT_EQ(use.gap, Duration{13});
  EXPECT_EQ(rows->at(1).history.unchanged, 4U);
  EXPECT_DOUBLE_EQ(rows->at(1).seconds.value_or(0), 8.191);
  ASSERT_TRUE(run_on(loop_, store_->forget_worth("one", {"image a"})));
  rows = run_on(loop_, store_->load_worth("one"));
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 1U);
  EXPECT_TRUE(run_on(loop_, store_->load_worth("two"))->empty());
}

}  // namespace
}  // namespace buildwarden::state
