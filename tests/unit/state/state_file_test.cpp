// How the database takes its room, keeps it, and does without more.
#include "daemon/state/state_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <limits>

#include "tests/support/fake_clock.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::state {
namespace {

using Rows = std::vector<ports::LedgerRow>;
using Events = std::vector<ports::RecordedEvent>;

constexpr Bytes kPageBytes = 4096;

Rows rows(int amount, std::size_t length = 71) {
  Rows made;
  for (int at = 0; at < amount; ++at) {
    made.push_back({std::string(length, 'x') + std::to_string(at), WallTime{Duration{at}}, Duration{1}, "why"});
  }
  return made;
}

Events events(std::uint64_t first, std::uint64_t amount, const std::string& kind = "reclaim.step") {
  Events made;
  for (auto id = first; id < first + amount; ++id) {
    ports::RecordedEvent one;
    one.id = id;
    one.event.kind = kind;
    one.event.reason = std::string(400, 'r');
    made.push_back(one);
  }
  return made;
}

struct FileSize {
  Bytes length = 0;
  Bytes on_disk = 0;
};

FileSize size_of(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return {info.st_size, info.st_blocks * 512};
}

class StateFileTest : public ::testing::Test {
 protected:
  void open(const RoomLimits& limits = {}) {
    state_.reset();
    state_ = std::make_unique<StateFile>(file(), clock_, limits);
  }
  [[nodiscard]] std::string file() const { return folder_.path() + "/ledger.db"; }
  // What SQLite says of the file when nobody else holds it.
  std::int64_t pragma(const std::string& name) {
    state_.reset();
    auto connection = Connection::open(file());
    EXPECT_TRUE(connection);
    const auto number = connection->number("PRAGMA " + name);
    EXPECT_TRUE(number) << number.error().message();
    return number ? *number : -1;
  }

  testing::TempFolder folder_;
  testing::FakeClock clock_;
  std::unique_ptr<StateFile> state_;
};

TEST_F(StateFileTest, TheRoomIsTakenAtTheStartAndReallyWritten) {
  open();
  ASSERT_TRUE(state_->save_rows("one", rows(1)));
  const RoomLimits limits;
  const auto database = size_of(file());
  EXPECT_GE(database.length, limits.reserve * kPageBytes);
  EXPECT_GE(database.on_disk, limits.reserve * kPageBytes);
  const auto log = size_of(file() + "-wal");
  EXPECT_EQ(log.length, kLogBytes);
  EXPECT_GE(log.on_disk, kLogBytes);
  EXPECT_GE(pragma("freelist_count"), limits.reserve);
}

TEST_F(StateFileTest, TheLogStaysWhenTheFileIsClosedAndComesBackWhenItIsGone) {
  open();
  ASSERT_TRUE(state_->save_rows("one", rows(10)));
  state_.reset();
  EXPECT_EQ(size_of(file() + "-wal").length, kLogBytes);
  open();
  EXPECT_EQ(state_->load_rows("one").value_or({}).size(), 10U);
  EXPECT_EQ(pragma("user_version"), 3);
  std::filesystem::resize_file(file() + "-wal", 0);
  open();
  ASSERT_TRUE(state_->save_rows("one", rows(10)));
  EXPECT_EQ(size_of(file() + "-wal").length, kLogBytes);
}

TEST_F(StateFileTest, NeitherFileGrowsWhileThereIsRoom) {
  open();
  ASSERT_TRUE(state_->save_rows("one", rows(1)));
  const auto before = size_of(file());
  for (std::uint64_t turn = 0; turn < 300; ++turn) ASSERT_TRUE(state_->append_events(events(1 + turn % 500, 2)));
  EXPECT_EQ(size_of(file()).length, before.length);
  EXPECT_EQ(size_of(file() + "-wal").length, kLogBytes);
}

TEST_F(StateFileTest, ItGrowsBeforeTheRoomIsUsedUp) {
  open();
  const RoomLimits limits;
  ASSERT_TRUE(state_->append_events(events(1, 6'000)));
  ASSERT_TRUE(state_->append_events(events(6'001, 1)));
  EXPECT_EQ(size_of(file() + "-wal").length, kLogBytes);
  EXPECT_GE(pragma("freelist_count"), limits.enough - 1);
}

TEST_F(StateFileTest, EventsAreBoundedByTheirNumber) {
  open();
  ASSERT_TRUE(state_->append_events(events(1, 10'000)));
  ASSERT_TRUE(state_->append_events(events(1'764'000'000, 1'000)));
  const auto stored = state_->load_events(100'000);
  ASSERT_TRUE(stored);
  EXPECT_GE(stored->events.size(), StateFile::kMostEvents);
  EXPECT_LE(stored->events.size(), StateFile::kMostEvents + 250);
  EXPECT_EQ(stored->events.back().id, 1'764'000'999U);
}

// Issue 14: 12,000 jobs pushed everything else out of the database.
TEST_F(StateFileTest, EventsThatAreMadeOnDemandPushOutNoOthers) {
  open();
  ASSERT_TRUE(state_->append_events(events(1, 100)));
  auto plans = events(101, 100);
  for (auto& plan : plans) plan.event.fields = {{"on_behalf_of", "\"dry_run\":false"}, {"dry_run", true}};
  auto steps = events(201, 100);
  for (auto& step : steps) step.event.fields = {{"name", "\"dry_run\":true"}, {"dry_run", false}};
  ASSERT_TRUE(state_->append_events(plans));
  ASSERT_TRUE(state_->append_events(steps));
  ASSERT_TRUE(state_->append_events(events(301, 24'000, "job.started")));
  const auto stored = state_->load_events(3'000);
  ASSERT_TRUE(stored);
  EXPECT_LE(stored->events.size(), 200 + StateFile::kMostOnDemand + 250);
  ASSERT_GT(stored->events.size(), 200U);
  EXPECT_EQ(stored->events.at(99).id, 100U);
  EXPECT_EQ(stored->events.at(100).id, 201U) << "plans are made on demand, deletions are not";
  EXPECT_EQ(stored->events.at(199).id, 300U);
  EXPECT_EQ(stored->events.back().id, 24'300U);
  EXPECT_EQ(state_->load_events(10)->events.front().id, 291U) << "as many of both";
}

TEST_F(StateFileTest, WithoutMoreRoomTheOldestEventsMakeWay) {
  RoomLimits limits;
  limits.most = 1;  // it has what it took at the start, and never more
  open(limits);
  EXPECT_FALSE(state_->load_events(1));  // not even that
  limits.most = 800;
  open(limits);
  for (std::uint64_t turn = 0; turn < 100; ++turn) {
    ASSERT_TRUE(state_->append_events(events(1 + turn * 100, 100))) << turn;
  }
  ASSERT_TRUE(state_->save_rows("one", rows(1'000)));
  const auto stored = state_->load_events(100'000);
  ASSERT_TRUE(stored);
  EXPECT_GT(stored->events.size(), 1'000U);
  EXPECT_LT(stored->events.size(), 10'000U);
  EXPECT_EQ(stored->events.back().id, 10'000U);
  EXPECT_EQ(state_->load_rows("one").value_or({}).size(), 1'000U);
  EXPECT_LE(size_of(file()).length, 800 * kPageBytes);
}

TEST_F(StateFileTest, ALedgerThatFillsItIsAnErrorAndTheFirstRowsAreKept) {
  RoomLimits limits;
  limits.most = 800;
  open(limits);
  const auto saved = state_->save_rows("one", rows(20'000, 400));
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code(), Errc::kTooLarge);
  EXPECT_NE(saved.error().message().find("full"), std::string::npos) << saved.error().message();
  const auto kept = state_->load_rows("one");
  ASSERT_TRUE(kept);
  EXPECT_GT(kept->size(), 1'000U);
  EXPECT_EQ(kept->size() % 250, 0U);  // whole transactions
  for (const auto& row : *kept) EXPECT_LT(row.last_used, WallTime{Duration{static_cast<int>(kept->size())}});
}

TEST_F(StateFileTest, ItDoesNotGrowWhileTheDiskIsNearlyFull) {
  open();
  ASSERT_TRUE(state_->save_rows("one", rows(1)));
  const auto before = size_of(file());
  RoomLimits limits;
  limits.spare_on_disk = std::numeric_limits<Bytes>::max();
  open(limits);
  for (std::uint64_t turn = 0; turn < 100; ++turn) {
    ASSERT_TRUE(state_->append_events(events(1 + turn * 100, 100))) << turn;
  }
  EXPECT_EQ(size_of(file()).length, before.length);
  EXPECT_EQ(state_->load_events(1)->events.back().id, 10'000U);
}

}  // namespace
}  // namespace buildwarden::state
