// The engine room on a private, real engine, for tests of what stands on it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/worker.h"
#include "daemon/engine/engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/later_clock.h"
#include "tests/support/loop.h"
#include "tests/support/sandbox.h"

namespace buildwarden::testing {

class EngineFixture : public SandboxFixture {
 protected:
  // The engine answers after it, and all that was heard of it went to on_event() and on_connected().
  void SetUp() override {
    SandboxFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    EngineSettings settings;
    settings.socket = socket();
    engine_ = std::make_unique<engine::Engine>(settings, engine::EngineParts{workers_, clock_, journal_});
    build_on(*engine_);
    engine_->on_event([this](const ports::EngineEvent& event) { on_event(event); });
    engine_->on_connected(
        [this](const ports::EngineIdentity& identity, std::optional<Duration> gap) { on_connected(identity, gap); });
    background_ = std::make_unique<Background>(loop_, engine_->run());
    run_until(loop_, [this] { return engine_->status().up; });
  }
  void TearDown() override {
    if (background_) {
      engine_->stop();
      run_until(loop_, [this] { return background_->ended(); });
    }
    SandboxFixture::TearDown();
  }

  // What a test stands on the engine, made before the engine is first asked.
  virtual void build_on(engine::Engine& /*engine*/) {}
  virtual void on_event(const ports::EngineEvent& /*event*/) {}
  virtual void on_connected(const ports::EngineIdentity& /*identity*/, std::optional<Duration> /*gap*/) {}

  template <class T>
  T run(boost::asio::awaitable<T> work) {
    return run_on(loop_, std::move(work));
  }
  void load_builder_image() {
    const auto loaded = run(engine_->load_archive(builder_archive()));
    ASSERT_TRUE(loaded) << loaded.error().message();
  }

  boost::asio::io_context loop_;
  LaterClock clock_;
  FakeJournal journal_;
  WorkerPool workers_{1};
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<Background> background_;
};

}  // namespace buildwarden::testing
