// What the tests of the ledgers of worth and of savings stand on.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "daemon/last_use/worth_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {

// The test makes `worth_`.
class WorthFixture : public ::testing::Test {
 protected:
  void connect() { testing::run_void(loop_, worth_->connected(engine_.engine.identity)); }
  // A list of the engine's images arrives.
  void see() {
    testing::run_void(loop_, worth_->seen(std::make_shared<const std::vector<ports::ImageRecord>>(engine_.images)));
  }

  testing::FakeClock clock_;
  testing::FakeWorthStore store_;
  testing::FakeImageEngine engine_;
  WorkerPool workers_{1};
  boost::asio::io_context loop_;
  std::unique_ptr<WorthLedger> worth_;
};

}  // namespace buildwarden::disk
