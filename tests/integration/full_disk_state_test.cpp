// Ledger and journal on a real filesystem without a free block.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <ostream>

#include "daemon/state/sqlite.h"
#include "daemon/state/state_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/small_disk.h"

namespace buildwarden {
namespace {

using testing::run_on;
using Rows = std::vector<ports::LedgerRow>;
using Events = std::vector<ports::RecordedEvent>;

const std::string kScope = "ABCD:EFGH:IJKL:MNOP:QRST:UVWX:YZ23:4567 /var/lib/docker";

Rows thousand_rows(int round) {
  Rows rows;
  for (int at = 0; at < 1'000; ++at) {
    auto number = std::to_string(at);
    rows.push_back({"sha256:" + std::string(64 - number.size(), '0') + number, WallTime{Duration{round}}, Duration{1},
                    "container start"});
  }
  return rows;
}

Events thousand_events(std::uint64_t first) {
  Events events;
  for (auto id = first; id < first + 1'000; ++id) {
    ports::RecordedEvent one;
    one.id = id;
    one.event.kind = "reclaim.step";
    one.event.reason = "Image example.org/team/project:" + std::to_string(id) +
                       " was last used 26h 14m ago and is deleted: 412.3 MiB freed as measured, 410.0 MiB reported.";
    one.event.rule = "unused_for_longer_than_the_age";
    one.event.fields = {{"rung", std::string("unused_images")},
                        {"freed_bytes", std::int64_t{432'013'312}},
                        {"free_before", std::int64_t{987'654'321}},
                        {"free_after", std::int64_t{1'419'667'633}},
                        {"seconds", 0.125},
                        {"dry_run", false}};
    events.push_back(one);
  }
  return events;
}

struct Disk {
  std::string kind;
  int mebibytes;
};

void PrintTo(const Disk& disk, std::ostream* out) { *out << disk.kind; }

class FullDiskState : public ::testing::TestWithParam<Disk> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    disk_ = std::make_unique<testing::SmallDisk>(GetParam().kind, GetParam().mebibytes);
  }
  void open() {
    store_.reset();
    store_ = std::make_unique<state::StateStore>(disk_->path() + "/state", clock_, journal_);
  }
  void fill() {
    disk_->fill();
    if (GetParam().kind == "ext4") {
      ASSERT_EQ(disk_->free_blocks(), 0U);
    }
  }
  Result<void> save(int round) { return run_on(loop_, store_->save(kScope, thousand_rows(round))); }
  Result<void> append(std::uint64_t first) { return run_on(loop_, store_->append_events(thousand_events(first))); }

  std::unique_ptr<testing::SmallDisk> disk_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  std::unique_ptr<state::StateStore> store_;
};

// What happens without the room: so the test below says something.
TEST_P(FullDiskState, APlainDatabaseCannotWriteARow) {
  auto plain = state::Connection::open(disk_->path() + "/plain.db");
  ASSERT_TRUE(plain);
  ASSERT_TRUE(plain->execute("PRAGMA journal_mode=WAL; CREATE TABLE rows (text TEXT); INSERT INTO rows VALUES ('x')"));
  fill();
  auto written = plain->execute("INSERT INTO rows VALUES ('x')");
  for (int turn = 0; turn < 1'000 && written; ++turn) {
    written = plain->execute("INSERT INTO rows VALUES (hex(zeroblob(500)))");
  }
  EXPECT_FALSE(written);
}

TEST_P(FullDiskState, AThousandRowsAndAThousandEventsAreWrittenAllTheSame) {
  open();
  ASSERT_TRUE(run_on(loop_, store_->load(kScope)));
  fill();
  const auto rows = save(1);
  EXPECT_TRUE(rows) << rows.error().message();
  const auto events = append(1);
  EXPECT_TRUE(events) << events.error().message();
  // And on: rows are replaced, and the oldest events make way.
  for (int round = 2; round < 12; ++round) {
    const auto saved = save(round);
    ASSERT_TRUE(saved) << round << ": " << saved.error().message();
    const auto appended = append(1 + static_cast<std::uint64_t>(round) * 1'000);
    ASSERT_TRUE(appended) << round << ": " << appended.error().message();
  }
  // A restart on the full disk.
  open();
  const auto stored = run_on(loop_, store_->load_events(500));
  ASSERT_TRUE(stored) << stored.error().message();
  ASSERT_EQ(stored->events.size(), 500U);
  EXPECT_EQ(stored->events.back().id, 12'000U);
  const auto kept = run_on(loop_, store_->load(kScope));
  ASSERT_TRUE(kept) << kept.error().message();
  ASSERT_EQ(kept->size(), 1'000U);
  EXPECT_EQ(kept->front().last_used, WallTime{Duration{11}});
  EXPECT_TRUE(save(12));
  EXPECT_TRUE(append(20'000));
  EXPECT_EQ(store_->error(), "");
  EXPECT_TRUE(journal_.events.empty());
  if (GetParam().kind == "ext4") {
    EXPECT_EQ(disk_->free_blocks(), 0U);
  }
}

TEST_P(FullDiskState, OneThatIsBegunOnAFullDiskFailsSoftlyAndWorksWhenThereIsSpace) {
  fill();
  open();
  const auto saved = save(1);
  ASSERT_FALSE(saved);
  EXPECT_NE(store_->error(), "");
  EXPECT_FALSE(append(1));
  disk_->empty();
  EXPECT_TRUE(save(2));
  EXPECT_TRUE(append(1));
  EXPECT_EQ(store_->error(), "");
  EXPECT_TRUE(journal_.events.empty());  // nothing was damaged
  fill();
  EXPECT_TRUE(save(3));
  EXPECT_TRUE(append(1'001));
}

INSTANTIATE_TEST_SUITE_P(Filesystems, FullDiskState, ::testing::Values(Disk{"ext4", 64}, Disk{"xfs", 320}),
                         [](const auto& one) { return one.param.kind; });

}  // namespace
}  // namespace buildwarden
