// Asks the kernel about many paths at once and waits for none of them longer than a moment.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/async_mutex.h"
#include "common/time.h"
#include "daemon/filesystems/mount_table.h"
#include "daemon/filesystems/path_stat.h"
#include "daemon/filesystems/stat_worker.h"

namespace buildwarden::disk {

struct PathSamplerTiming {
  Duration patience{100};  // how long one sample() waits for the slowest; ten times as long where nothing presses
  Duration stale{5'000};  // an answer that took longer than this is worth nothing, and counts as failed before it comes
};

// What is known of a path after a sample(): exactly one of its stat, an error, or neither (asked, but still in time).
struct Sample {
  std::string path;
  std::optional<PathStat> snapshot;
  std::string error;
  bool absent = false;  // the error is that there is no such path
  Now asked;            // when the request for this answer was begun
};

// Whether a disk may be about to fill while one sample() waits. Where none is, the end of its patience falls together
// with other waits: a timer that is not needed wakes the process all the same.
enum class Haste : std::uint8_t { kPressing, kCalm };

// Paths share a worker by the device that the mount table names for them, so a mount over one path leaves the others'
// worker at once, and a hung device has one request pending at most. A path that never answered has a worker of its
// own. Callers of sample() queue. Lives as long as its callers.
class PathSampler {
 public:
  // Of this machine.
  PathSampler(const std::shared_ptr<MountTable>& table, PathSamplerTiming timing);
  PathSampler(ReadPathStat read, std::shared_ptr<MountTable> table, PathSamplerTiming timing);

  // One Sample for each path, in the same order.
  boost::asio::awaitable<std::vector<Sample>> sample(std::vector<std::string> paths, Now now,
                                                     Haste haste = Haste::kPressing);
  // As read at the last sample(): older or newer than its stats, which name their own mounts.
  [[nodiscard]] const std::vector<MountEntry>& mounts() const { return *mounts_; }

 private:
  using Answers = std::map<std::string, Sample>;
  [[nodiscard]] std::string worker_of(const std::string& path) const;
  void collect(StatWorker& worker, Now now, Answers& into);
  struct Round;
  std::vector<StatWorker*> begin(const std::vector<std::string>& paths, const Round& round, Answers& late);
  Sample answer_for(const std::string& path, Now now, const Answers& answers) const;
  void drop_idle_workers();

  ReadPathStat read_;
  std::shared_ptr<MountTable> table_;
  PathSamplerTiming timing_;
  Mounts mounts_ = std::make_shared<const std::vector<MountEntry>>();
  std::map<std::string, std::string> resolved_;  // path → where it led when it last answered
  std::map<std::string, std::unique_ptr<StatWorker>> workers_;
  std::map<std::string, std::string> asked_by_;  // path → the worker that last asked for it
  AsyncMutex mutex_;
};

}  // namespace buildwarden::disk
