// Free space of the last hour, for people: what a curve shows and a number does not.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "common/tick.h"
#include "daemon/ports/disk.h"

namespace buildwarden::api {

// For the loop's thread alone. Bounded: kMostSamples for each of at most kMostMounts filesystems.
class SpaceHistory {
 public:
  static constexpr Duration kEvery = 3 * kIdleTick;  // with what else wakes an idle daemon
  static constexpr std::size_t kMostSamples = 200;   // an hour
  static constexpr std::size_t kMostMounts = 64;

  struct Sample {
    BootTime at;  // of the reading itself, so that a stale one does not look like a new one
    Bytes free = 0;
  };

  // One turn: adds each good reading that is newer than the last one kept. What is no longer watched is forgotten, and
  // so is what another filesystem under the same mount point had.
  void sample(const ports::DiskView& view);

  // Oldest first; empty for what was never sampled.
  [[nodiscard]] std::vector<Sample> of(const ports::FilesystemSnapshot& filesystem) const;

 private:
  struct Track {
    std::string device;
    std::string mount;
    std::deque<Sample> samples;
  };
  std::vector<Track> tracks_;
};

}  // namespace buildwarden::api
