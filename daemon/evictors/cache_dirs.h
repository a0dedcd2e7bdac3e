// Rung 1: what lies in the operator's cache folders, by when it was changed last.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/evictors/cache_dir_scan.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// Each thing directly in a folder of disk.cache_dirs is a candidate of its own; it is old when nothing in it has been
// changed for the age. Lost: a download. Never one that a process or a container uses, that something is mounted in,
// or that holds folders of the daemon, the engine or the builds. A folder that somebody else could exchange is one
// protected candidate (common/deletion_root.h).
class CacheDirs final : public ports::Evictor {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    WorkerPool& workers;
    std::function<std::vector<std::string>()> engine_folders;  // where the engine keeps what it has, now
    // Whether the wall clock can be trusted for ages; while it cannot, nothing is a candidate.
    std::function<bool()> clock_is_steady;
  };
  explicit CacheDirs(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kLeftovers; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return filesystem.has_role("cache_dirs");
  }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { planned_.clear(); }
  // A look or a removal that runs ends within moments.
  void stop() { stop_.request_stop(); }

 private:
  ports::Async<std::vector<policy::Candidate>> list_entries();
  ports::Async<ports::EvictionResult> evict_planned(policy::Candidate candidate);
  [[nodiscard]] std::vector<std::string> never() const;

  Parts parts_;
  std::map<std::string, CacheEntry> planned_;  // by path
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
