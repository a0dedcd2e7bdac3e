// Asks the daemon's API all the time from a thread of its own, and remembers how long each answer took.
#pragma once

#include <atomic>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace buildwarden::testing {

class ApiPoller {
 public:
  // GET `target` every few milliseconds. `socket`: that of the unix side, or ADDRESS:PORT. `fresh`: each on a
  // connection of its own.
  ApiPoller(std::string socket, std::string target, bool fresh = false);
  ~ApiPoller() { stop(); }
  ApiPoller(const ApiPoller&) = delete;
  ApiPoller& operator=(const ApiPoller&) = delete;

  // Ends the asking; the figures are complete afterwards.
  void stop();

  [[nodiscard]] std::size_t answers() const { return times_.size(); }
  [[nodiscard]] int failures() const { return failures_; }  // another status than 200, or no answer
  // Milliseconds: the time within which `share` of the answers came.
  [[nodiscard]] double quantile(double share) const;
  // "GET /v1/status: 812 answers, 0 failures, p50 0.21 ms, p99 1.10 ms, max 4.02 ms", and which failures.
  [[nodiscard]] std::string summary() const;

 private:
  void ask();

  std::string socket_;
  std::string target_;
  bool fresh_;
  std::vector<double> times_;
  int failures_ = 0;
  std::map<std::string, int> what_failed_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace buildwarden::testing
