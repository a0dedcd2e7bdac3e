// An engine with very much on it, for measuring what reading it costs: answers from memory, in chunks as Go writes
// them.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace buildwarden::bench {

// Listens from its construction on, in threads of its own.
class CrowdedEngine {
 public:
  // `volumes`: of builders that jobs left behind.
  CrowdedEngine(std::string path, int images, int records, int volumes = 0);
  ~CrowdedEngine();
  CrowdedEngine(const CrowdedEngine&) = delete;
  CrowdedEngine& operator=(const CrowdedEngine&) = delete;

  // The answer's body for a path without its version: "/system/df".
  [[nodiscard]] const std::string& body(const std::string& path) const { return bodies_.at(path); }

 private:
  void accept_all();
  void serve(int connection);

  std::map<std::string, std::string> bodies_;
  std::string path_;
  int listener_ = -1;
  std::atomic<bool> stopping_{false};
  std::vector<std::jthread> threads_;
};

}  // namespace buildwarden::bench
