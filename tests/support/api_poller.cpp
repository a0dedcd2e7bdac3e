#include "tests/support/api_poller.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>

#include "common/format.h"
#include "tests/bench/connection.h"

namespace buildwarden::testing {
namespace {

constexpr auto kPause = std::chrono::milliseconds{3};

}  // namespace

ApiPoller::ApiPoller(std::string socket, std::string target, bool fresh)
    : socket_(std::move(socket)), target_(std::move(target)), fresh_(fresh), thread_([this] { ask(); }) {}

void ApiPoller::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  std::sort(times_.begin(), times_.end());
}

void ApiPoller::ask() {
  std::unique_ptr<bench::Connection> connection;
  while (!stopping_) {
    const auto before = std::chrono::steady_clock::now();
    try {
      if (!connection) connection = std::make_unique<bench::Connection>(socket_);
      const int status = connection->exchange("GET", target_);
      if (status != 200) ++failures_;
      if (status != 200) ++what_failed_[format("status {}", status)];
      times_.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
    } catch (const std::exception& error) {
      connection.reset();
      ++failures_;
      ++what_failed_[error.what()];
    }
    if (fresh_) connection.reset();
    std::this_thread::sleep_for(kPause);
  }
}

double ApiPoller::quantile(double share) const {
  if (times_.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(times_.size()));
  return times_[std::min(at, times_.size() - 1)];
}

std::string ApiPoller::summary() const {
  auto text = format("GET {}: {} answers, {} failures, p50 {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms", target_, answers(),
                     failures_, quantile(0.5), quantile(0.99), quantile(1));
  for (const auto& [what, times] : what_failed_) text += format("; {} times {}", times, what);
  return text;
}

}  // namespace buildwarden::testing
