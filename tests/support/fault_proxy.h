// Between the daemon and a real engine: passes everything on, until it is told to break answers.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace buildwarden::testing {

enum class Fault {
  kNone,
  kReset,      // the connection is closed once the request has come
  kTruncated,  // half of the first bytes of the answer, then the end
  kError,      // 500 with the engine's kind of message
  kGarbage,    // bytes that are no HTTP
  kWrongJson,  // 200 with JSON of another shape
  kHalfJson,   // 200 with JSON that ends in the middle, all bytes that were announced
  kEndless,    // 200 with a body that does not end
  kLate,       // the answer, three seconds late
  kSilent,     // nothing, and the connection stays open
};
std::string to_string(Fault fault);

// A thread accepts, one more serves each connection; each is for one request. All end with the proxy.
class FaultProxy {
 public:
  // Listens at `path` for an engine at `engine`. Throws what the system says when it cannot.
  FaultProxy(std::string path, std::string engine);
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  // From now on, for requests that are of `call` ("GET /images/json"; "" = all). Requests under way go on as they
  // began.
  void set(Fault fault, const std::string& call = "");
  void heal() { set(Fault::kNone); }
  // Connections that were under way are cut, as an engine that died cuts them.
  void cut();
  // Sends `line` to whoever waits for more of `call`'s answer, as one more chunk of it. Between two of the engine's.
  void inject(const std::string& call, const std::string& line);
  // Method and path of what was asked so far, without version, query and ids: "DELETE /images/{}".
  [[nodiscard]] std::set<std::string> calls() const;
  [[nodiscard]] int broken() const { return broken_; }

 private:
  void accept();
  void serve(int client);
  [[nodiscard]] Fault fault_for(int client, const std::string& call);
  bool misbehave(Fault fault, int client);
  void relay(int client, int engine, bool half) const;

  std::string engine_;
  int listening_;
  mutable std::mutex mutex_;
  Fault fault_ = Fault::kNone;
  std::string only_;
  std::set<std::string> calls_;
  std::map<int, std::string> open_;  // connections, and what they asked for
  std::atomic<int> broken_ = 0;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> serving_;
  std::thread accepting_;
};

}  // namespace buildwarden::testing
