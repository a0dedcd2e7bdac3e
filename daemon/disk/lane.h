// One thread for the paths of one device, so that a hung mount keeps nobody else waiting.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/time.h"
#include "common/worker.h"
#include "daemon/disk/path_facts.h"

namespace buildwarden::disk {

struct PathAnswer {
  std::string path;
  Result<PathFacts> facts;
};

// At most one request at a time: while one is pending no other is begun. Used on the loop only.
class Lane {
 public:
  explicit Lane(StatPath stat);
  // Does not wait for a pending request: its thread is left behind with all it owns, and never touches the loop again.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Begins a request; `done` is posted to `loop` when it ends. Only when idle() and everything was collected.
  void begin(std::vector<std::string> paths, Now now, const boost::asio::any_io_executor& loop,
             std::function<void()> done);
  [[nodiscard]] bool pending() const;
  // When the request was begun that is pending or not yet collected.
  [[nodiscard]] Now begun() const { return begun_; }
  // The answers of the finished request, once; empty otherwise.
  std::vector<PathAnswer> collect();

 private:
  struct Box;
  StatPath stat_;
  std::unique_ptr<WorkerPool> thread_;
  std::shared_ptr<Box> box_;
  Now begun_;
};

}  // namespace buildwarden::disk
