// One thread for the paths of one device, so that a hung mount keeps nobody else waiting.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <string>
#include <vector>

#include "common/detached_call.h"
#include "common/time.h"
#include "daemon/filesystems/path_stat.h"

namespace buildwarden::disk {

struct PathAnswer {
  std::string path;
  Result<PathStat> snapshot;
};

// At most one request at a time: while one is pending no other is begun. Its end does not wait for a pending request.
// Used on the loop only.
class StatWorker {
 public:
  explicit StatWorker(ReadPathStat read) : read_(std::move(read)) {}

  // Begins a request; `done` is posted to `loop` when it ends. Only when nothing is pending and all was collected.
  void begin(std::vector<std::string> paths, Now now, const boost::asio::any_io_executor& loop,
             std::function<void()> done);
  [[nodiscard]] bool pending() const { return request_.pending(); }
  // When the request was begun that is pending or not yet collected.
  [[nodiscard]] Now begun() const { return begun_; }
  // The answers of the finished request, once; empty otherwise.
  std::vector<PathAnswer> collect();

 private:
  ReadPathStat read_;
  DetachedCall<std::vector<PathAnswer>> request_;
  Now begun_;
};

}  // namespace buildwarden::disk
