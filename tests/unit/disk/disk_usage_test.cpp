#include "daemon/filesystems/disk_usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using ::testing::ElementsAre;

class TwoBuilders final : public ports::BuilderViews {
 public:
  [[nodiscard]] ports::BuildersView builders_view() const override {
    ports::BuildersView view;
    view.builders.resize(3);
    view.builders[0].name = "s3";
    view.builders[0].cache_bytes = 5 * kGiB;
    view.builders[1].name = "silent";  // its size is not known
    view.builders[2].name = "more";
    view.builders[2].cache_bytes = 7 * kGiB;
    return view;
  }
};

class EngineCache final : public ports::BuildCache {
 public:
  ports::Async<std::vector<policy::CacheRecord>> cache_records() override {
    std::vector<policy::CacheRecord> records(2);
    records[0].size = kGiB;
    records[1].size = 2 * kGiB;
    co_return records;
  }
  ports::Async<ports::CachePrune> prune_cache(std::vector<std::string>, Duration) override {
    co_return ports::CachePrune{};
  }
};

TEST(DiskUsage, HoldEachBuildersCache) {
  boost::asio::io_context loop;
  testing::FakeClock clock;
  testing::FakeImageEngine images;
  EngineCache cache;
  TwoBuilders builders;
  WorkerPool workers{1};
  DiskUsage users({images, cache, builders, clock, workers});
  testing::run_void(loop, users.refresh());
  std::vector<std::string> shown;
  for (const auto& user : users.last()) {
    if (user.kind != "images") shown.push_back(user.kind + " " + user.name + " " + format_bytes(user.bytes));
  }
  EXPECT_THAT(
      shown, ElementsAre("builder_cache more 7.00 GiB", "builder_cache s3 5.00 GiB", "build_cache 2 records 3.00 GiB"));
}

}  // namespace
}  // namespace buildwarden::disk
