// A Docker engine that answers what a test says, on a thread of its own, for a daemon that is another process.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/fake_http_server.h"

namespace buildwarden::testing {

class FakeEngine {
 public:
  FakeEngine() : server_(std::make_unique<FakeHttpServer>(loop_)), socket_(server_->path()) {
    server_->on("GET /_ping", FakeAnswer::json(200, "OK", "Api-Version: 1.45\r\n"));
    server_->on("GET /v1.45/events", FakeAnswer::stream());
    server_->on("GET /v1.45/events?since=0.000000001&until=", FakeAnswer::json(200, ""));  // the past: none
    server_->on("GET /v1.45/containers/json", FakeAnswer::json(200, "[]"));
    server_->on("GET /v1.45/images/json", FakeAnswer::json(200, "[]"));
    server_->on("GET /v1.45/networks", FakeAnswer::json(200, "[]"));
    server_->on("GET /v1.45/volumes", FakeAnswer::json(200, R"({"Volumes":[]})"));
    server_->on("GET /v1.45/system/df", FakeAnswer::json(200, "{}"));
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~FakeEngine() {
    on_loop([this] { server_->stop(); });
    // A request that was just read is not answered any more: its answer would be looked up in a server that is gone.
    loop_.stop();
    thread_.join();
  }
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;

  [[nodiscard]] const std::string& socket() const { return socket_; }

  // Gone and back, as after a restart: with this identity.
  void restart(const std::string& id, const std::string& root) {
    on_loop([&] {
      server_->stop();
      server_->replace("GET /v1.45/info",
                       FakeAnswer::json(200, R"({"ID":")" + id + R"(","DockerRootDir":")" + root +
                                                 R"(","ServerVersion":"26.1.5","SecurityOptions":[]})"));
      server_->listen();
    });
  }
  // Gone: nobody listens any more.
  void stop() {
    on_loop([this] { server_->stop(); });
  }
  void replace(const std::string& beginning, FakeAnswer answer) {
    on_loop([&] { server_->replace(beginning, std::move(answer)); });
  }
  [[nodiscard]] int count(const std::string& beginning) {
    int number = 0;
    on_loop([&] { number = server_->count(beginning); });
    return number;
  }

 private:
  template <class Work>
  void on_loop(Work work) {
    std::promise<void> done;
    boost::asio::post(loop_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
  std::unique_ptr<FakeHttpServer> server_;
  std::string socket_;
  std::thread thread_;
};

}  // namespace buildwarden::testing
