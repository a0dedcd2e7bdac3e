#include "daemon/builders/cache_sizes.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_containers.h"
#include "tests/support/run_void.h"

namespace buildwarden::builders {
namespace {

using std::chrono::seconds;

class CacheSizesTest : public ::testing::Test {
 protected:
  CacheSizesTest() {
    auto& container = engine_.containers["buildwarden_s3"];
    container.seen.id = "one";
    container.seen.ours = true;
    container.seen.state = policy::ContainerState::kRunning;
    engine_.execute = [this](const std::vector<std::string>&) {
      ports::ContainerControl::ExecResult result;
      result.exit_code = exit_code_;
      result.output = R"([{"id":"a","inUse":false,"size":7,"createdAt":"2026-01-01T00:00:00Z","shared":false}])";
      return result;
    };
  }
  std::size_t asked_after(Duration time) {
    engine_.calls.clear();
    clock_.advance(time);
    testing::run_void(loop_, sizes_.turn());
    return engine_.calls.size();
  }

  boost::asio::io_context loop_;
  testing::FakeClock clock_;
  testing::FakeContainers engine_;
  WorkerPool workers_{1};
  int exit_code_ = 0;
  BuilderCache cache_{"s3", {engine_, engine_, workers_}};
  std::vector<BuilderCache*> caches_{&cache_};
  CacheSizes sizes_{[this] { return caches_; }, clock_};
};

TEST_F(CacheSizesTest, OneThatAnswersIsAskedOnceAMinute) {
  EXPECT_EQ(asked_after(seconds{0}), 1U);
  EXPECT_EQ(cache_.bytes(), 7);
  EXPECT_EQ(asked_after(seconds{59}), 0U);
  EXPECT_EQ(asked_after(seconds{1}), 1U);
}

TEST_F(CacheSizesTest, OneThatDoesNotIsAskedSoonerAndItsSizeIsNotKnown) {
  asked_after(seconds{0});
  exit_code_ = 1;
  EXPECT_EQ(asked_after(seconds{60}), 1U);
  EXPECT_FALSE(cache_.bytes());
  EXPECT_EQ(asked_after(seconds{9}), 0U);
  exit_code_ = 0;
  EXPECT_EQ(asked_after(seconds{1}), 1U);
  EXPECT_EQ(cache_.bytes(), 7);
}

TEST_F(CacheSizesTest, OneThatAReloadAddsIsAskedInTheNextTurn) {
  caches_.clear();
  EXPECT_EQ(asked_after(seconds{0}), 0U);
  caches_.push_back(&cache_);
  EXPECT_EQ(asked_after(seconds{1}), 1U);
  EXPECT_EQ(cache_.bytes(), 7);
}

TEST_F(CacheSizesTest, StopsAtOnce) {
  testing::Background running(loop_, sizes_.run());
  testing::run_until(loop_, [this] { return cache_.bytes().has_value(); });
  sizes_.stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
}

}  // namespace
}  // namespace buildwarden::builders
