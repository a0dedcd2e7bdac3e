#include "daemon/state/ledger_store.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>

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

class LedgerStoreTest : public ::testing::Test {
 protected:
  LedgerStoreTest() { open(); }
  void open() {
    store_.reset();
    store_ = std::make_unique<SqliteLedgerStore>(folder_.path() + "/state", clock_, journal_);
  }
  [[nodiscard]] std::string file() const { return folder_.path() + "/state/ledger.db"; }
  Result<void> save(const std::string& scope, const Rows& rows) { return run_on(loop_, store_->save(scope, rows)); }
  Rows load(const std::string& scope) {
    const auto rows = run_on(loop_, store_->load(scope));
    EXPECT_TRUE(rows) << rows.error().message();
    return rows ? *rows : Rows{};
  }
  [[nodiscard]] std::size_t set_aside() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/state")) {
      if (entry.path().filename().string().starts_with("ledger.db.damaged-")) ++count;
    }
    return count;
  }

  testing::TempFolder folder_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  std::unique_ptr<SqliteLedgerStore> store_;
};

TEST_F(LedgerStoreTest, RowsComeBackAfterARestartByScope) {
  EXPECT_TRUE(load("one").empty());
  ASSERT_TRUE(save("one", {row("a", 10), row("b", 20)}));
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

TEST_F(LedgerStoreTest, ForgottenRowsAreGone) {
  ASSERT_TRUE(save("one", {row("a", 10), row("b", 20)}));
  ASSERT_TRUE(run_on(loop_, store_->forget("one", std::vector<std::string>{"a", "unknown"})));
  open();
  const auto rows = load("one");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].id, "b");
}

TEST_F(LedgerStoreTest, ItKeepsRoomForAFullDisk) {
  ASSERT_TRUE(save("one", {row("a", 10)}));
  EXPECT_GE(std::filesystem::file_size(file()), 1'572'864U);
  EXPECT_GE(std::filesystem::file_size(file() + "-wal"), 1'572'864U);
}

class DamagedTest : public LedgerStoreTest {
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
    ASSERT_TRUE(newer->execute("PRAGMA user_version=2"));
  });
}

TEST_F(LedgerStoreTest, AnEmptyFileIsBegunWithoutAWord) {
  std::filesystem::create_directories(folder_.path() + "/state");
  std::ofstream{file()};
  ASSERT_TRUE(save("one", {row("a", 10)}));
  EXPECT_EQ(set_aside(), 0U);
}

TEST_F(LedgerStoreTest, ADatabaseThatSomebodyElseHoldsIsNotSetAside) {
  ASSERT_TRUE(save("one", {row("a", 10)}));
  SqliteLedgerStore second(folder_.path() + "/state", clock_, journal_);
  const auto rows = run_on(loop_, second.load("one"));
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), Errc::kConflict);
  EXPECT_NE(second.error(), "");
  EXPECT_EQ(set_aside(), 0U);
  store_.reset();
  EXPECT_TRUE(run_on(loop_, second.load("one")));
  EXPECT_EQ(second.error(), "");
}

TEST_F(LedgerStoreTest, AStoreThatCannotWriteIsAnErrorAndRecovers) {
  std::ofstream{folder_.path() + "/state"};  // a file where the folder should be
  const auto saved = save("one", {row("a", 10)});
  ASSERT_FALSE(saved);
  EXPECT_NE(store_->error(), "");
  std::filesystem::remove(folder_.path() + "/state");
  EXPECT_TRUE(save("one", {row("a", 10)}));
  EXPECT_EQ(store_->error(), "");
}

TEST_F(LedgerStoreTest, AFullDatabaseIsAnErrorAndKeepsWhatItHas) {
  ASSERT_TRUE(save("one", {row("a", 10)}));
  store_.reset();
  LedgerFile limited(file(), clock_, 1);
  Rows many;
  for (int at = 0; at < 20'000; ++at) many.push_back(row(std::string(200, 'x') + std::to_string(at), at));
  const auto saved = limited.save("one", many);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code(), Errc::kIo);
  EXPECT_NE(saved.error().message().find("full"), std::string::npos) << saved.error().message();
  const auto rows = limited.load("one");
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 1U);
}

}  // namespace
}  // namespace buildwarden::state
