// Rung 1: what the Elastic CI Stack unpacked seeds of git mirrors in, and left behind.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "common/clock.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/evictors/cache_dir_scan.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// A boot that is cut off, or whose download is, leaves .git-mirror-seed-* in paths.git_mirrors; nothing reads it ever
// again. It goes once nothing in it has been changed for the age and nobody has it open: a boot may be at it.
class MirrorSeedLeftovers final : public ports::Evictor {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    WorkerPool& workers;
    // Whether the wall clock can be trusted for ages; while it cannot, nothing is a candidate.
    std::function<bool()> clock_is_steady;
  };
  explicit MirrorSeedLeftovers(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kLeftovers; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return filesystem.has_role("git_mirrors");
  }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { planned_.clear(); }
  // A look or a removal that runs ends within moments.
  void stop() { stop_.request_stop(); }

 private:
  ports::Async<std::vector<policy::Candidate>> list_leftovers();
  ports::Async<ports::EvictionResult> evict_planned(policy::Candidate candidate);

  Parts parts_;
  std::map<std::string, CacheEntry> planned_;  // by path
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
