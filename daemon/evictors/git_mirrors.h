// The agent's git mirrors: the last thing that goes before jobs are refused.
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
#include "daemon/evictors/set_aside_mirror.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/mirror_uses.h"

namespace buildwarden::disk {

// Each mirror in paths.git_mirrors is a candidate of its own, only with on_full.purge_mirrors; it was used when it was
// fetched last. Lost: a clone of the whole repository. Never one that a checkout reads objects of, that a process has
// open, that the agent holds a lock on, or while a job runs that may clone from it; asked for the plan, once more for
// each, and a last time when it is in the trash, from where it is put back. A folder that somebody else could exchange
// is one protected candidate (common/deletion_root.h).
class GitMirrors final : public ports::Evictor {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    WorkerPool& workers;
    ports::MirrorUsers& users;
    // Whether the wall clock can be trusted for the grace; while it cannot, everything is young.
    std::function<bool()> clock_is_steady;
  };
  explicit GitMirrors(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kGitMirrors; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override;
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { planned_.clear(); }
  // Once, when the daemon starts: a mirror that the last one had set aside when it was killed is in nobody's hands.
  boost::asio::awaitable<void> put_back_left();
  // A look or a removal that runs ends within moments.
  void stop() { stop_.request_stop(); }

 private:
  ports::Async<std::vector<policy::Candidate>> list_mirrors();
  ports::Async<ports::EvictionResult> evict_planned(policy::Candidate candidate);
  // While it lies in the trash.
  ports::Async<ports::EvictionResult> remove_unless_needed(SetAsideMirror mirror, std::string name);
  [[nodiscard]] policy::Candidate candidate_of(const CacheEntry& entry, const ports::MirrorUses& uses) const;

  Parts parts_;
  std::map<std::string, CacheEntry> planned_;  // by path
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
