// An Engine against a scripted server.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/format.h"
#include "common/worker.h"
#include "daemon/engine/engine.h"
#include "tests/support/fake_http_server.h"
#include "tests/support/loop.h"

namespace buildwarden::engine {

class FakeJournal final : public ports::Journal {
 public:
  void record(ports::Event event) override { events.push_back(std::move(event)); }
  [[nodiscard]] std::vector<std::string> kinds() const {
    std::vector<std::string> all;
    for (const auto& event : events) all.push_back(event.kind);
    return all;
  }
  std::vector<ports::Event> events;
};

inline constexpr const char* kInfoText =
    R"({"ID":"id-1","DockerRootDir":"/var/lib/docker","ServerVersion":"26.1.5","SecurityOptions":[]})";

class EngineFixture : public ::testing::Test {
 protected:
  using FakeAnswer = testing::FakeAnswer;

  EngineFixture() { speak("1.45"); }
  ~EngineFixture() override { stop(); }

  // What a healthy engine of this version answers.
  void speak(const std::string& version) {
    server_.replace("GET /_ping", FakeAnswer::json(200, "OK", "Api-Version: " + version + "\r\n"));
    server_.replace("GET /v" + version + "/info", FakeAnswer::json(200, kInfoText));
    server_.replace("GET /v" + version + "/events", FakeAnswer::stream());
    server_.replace("GET /v" + version + "/events?since=0.000000001&until=", FakeAnswer::json(200, ""));
  }

  void start(LinkTimes times = fast()) {
    engine_ = std::make_unique<Engine>(settings(), EngineParts{workers_, clock_, journal_, on_call()}, times);
    engine_->on_connected([this](const ports::EngineIdentity& identity, std::optional<Duration> gap) {
      identities_.push_back(identity);
      gaps_.push_back(gap);
    });
    engine_->on_lost([this](const std::string& reason) { losses_.push_back(reason); });
    engine_->on_event([this](const ports::EngineEvent& event) { events_.push_back(event); });
    background_ = std::make_unique<testing::Background>(loop_, engine_->run());
  }
  void start_and_connect() {
    start();
    until([this] { return engine_->status().up; });
  }
  void stop() {
    if (!engine_) return;
    engine_->stop();
    until([this] { return background_->ended(); });
  }
  void until(const std::function<bool()>& done) { testing::run_until(loop_, done); }
  template <class T>
  T run(boost::asio::awaitable<T> work) {
    return testing::run_on(loop_, std::move(work));
  }

  OnCall on_call() {
    return [this](const std::string& method, const std::string& route, std::chrono::duration<double> took) {
      EXPECT_GE(took.count(), 0);
      calls_.insert(method + " " + route);
    };
  }
  EngineSettings settings() {
    EngineSettings settings;
    settings.socket = server_.path();
    settings.docker_config = docker_config_;
    return settings;
  }
  // Quick to notice and to come back.
  static LinkTimes fast() {
    LinkTimes times;
    times.heartbeat = std::chrono::milliseconds{20};
    times.ping_deadline = std::chrono::milliseconds{200};
    times.first_retry = std::chrono::milliseconds{5};
    times.last_retry = std::chrono::milliseconds{20};
    return times;
  }

  boost::asio::io_context loop_;
  testing::FakeHttpServer server_{loop_};
  SystemClock clock_;
  FakeJournal journal_;
  WorkerPool workers_{1};
  std::string docker_config_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<testing::Background> background_;
  std::vector<ports::EngineIdentity> identities_;
  std::vector<std::optional<Duration>> gaps_;
  std::vector<std::string> losses_;
  std::set<std::string> calls_;  // that were told of, by route
  std::vector<ports::EngineEvent> events_;
};

}  // namespace buildwarden::engine
