// A ledger on a clock, a store and an engine of the test's.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/last_use/last_use_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {

class LastUseLedgerTest : public ::testing::Test {
 protected:
  LastUseLedgerTest() { start(); }
  // As a daemon that starts anew with the same store.
  void start() { ledger_ = std::make_unique<LastUseLedger>(clock_, store_, journal_); }
  void connect(std::optional<Duration> gap = std::nullopt) {
    testing::run_void(loop_, ledger_->connected(identity(), gap));
  }
  [[nodiscard]] const ports::EngineIdentity& identity() const { return engine_.engine.identity; }
  void see(const std::vector<std::string>& ids) {
    engine_.images.clear();
    for (const auto& id : ids) engine_.add_image(id, {id + ":tag"}, 1);
    testing::run_void(loop_, ledger_->seen(engine_.ids()));
  }
  [[nodiscard]] Duration age(const std::string& id) const {
    return policy::age_of(ledger_->last_use(id, clock_.now()), clock_.now());
  }
  void flush() { testing::run_void(loop_, ledger_->flush(true)); }

  testing::FakeClock clock_;
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  std::unique_ptr<LastUseLedger> ledger_;
};

}  // namespace buildwarden::disk
