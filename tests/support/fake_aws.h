// Stand-ins for an EC2 instance's metadata and for its Auto Scaling group, on TCP ports of the loopback, speaking the
// real wire formats: IMDSv2 with its token rules, and the AWS query protocol with its XML errors.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace buildwarden::testing {

struct WireRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One connection, one request and one answer at a time, on a thread.
class WireServer {
 public:
  using Handler = std::function<std::string(const WireRequest& request)>;
  explicit WireServer(Handler handler);
  ~WireServer();
  WireServer(const WireServer&) = delete;
  WireServer& operator=(const WireServer&) = delete;

  // Nobody listens on the port any more, which stays ours all the same; and again.
  void stop();
  void start();
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  void serve();
  [[nodiscard]] int bound_socket();

  Handler handler_;
  std::uint16_t port_ = 0;
  int reserve_ = -1;  // bound to the port for good, and never listening
  int listener_ = -1;
  std::thread thread_;
};

// 401 without a token or with a wrong one, 400 for a lifetime that is none, 403 behind a proxy.
class FakeMetadata {
 public:
  FakeMetadata();
  [[nodiscard]] std::string url() const { return server_.url(); }
  void stop() { server_.stop(); }
  void start() { server_.start(); }
  [[nodiscard]] int requests() const { return requests_; }

 private:
  std::string answer(const WireRequest& request);
  std::atomic<int> requests_ = 0;
  WireServer server_;
};

// A group of one instance that is known: i-0123456789abcdef0.
class FakeGroup {
 public:
  FakeGroup();
  ~FakeGroup() { hold_answers(false); }
  FakeGroup(const FakeGroup&) = delete;
  FakeGroup& operator=(const FakeGroup&) = delete;
  [[nodiscard]] std::string url() const { return server_.url(); }
  void stop() { server_.stop(); }
  void start() { server_.start(); }

  // The next mutating calls fail with these codes ("Throttling", "ExpiredToken", "AccessDenied", "InternalFailure").
  void fail_next(int times, const std::string& code);
  void forgive();  // no more failures
  void set_sizes(int minimum, int desired);
  // A mutating call is answered only once that is over; what it does, it does at once.
  void hold_answers(bool hold);

  [[nodiscard]] int count(const std::string& action) const;  // requests, also those that fail
  [[nodiscard]] int accepted() const;                        // of the mutating ones
  [[nodiscard]] int decrements() const;
  [[nodiscard]] std::string lifecycle() const;
  [[nodiscard]] std::string health() const;

 private:
  using Form = std::map<std::string, std::string>;
  std::string answer(const WireRequest& request);
  std::string describe() const;
  std::string change(const Form& form);
  std::string terminate(const Form& form);

  mutable std::mutex mutex_;
  std::map<std::string, int> asked_;
  std::deque<std::string> failures_;
  std::string lifecycle_ = "InService";
  std::string health_ = "HEALTHY";
  int minimum_ = 0;
  int desired_ = 3;
  int accepted_ = 0;
  int decrements_ = 0;
  std::condition_variable answers_;
  bool held_ = false;
  WireServer server_;
};

}  // namespace buildwarden::testing
