// Rung 1: the DOCKER_CONFIG folders of jobs that were killed.
#pragma once

#include <map>
#include <stop_token>
#include <string>

#include "common/clock.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/evictors/cache_dir_scan.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::disk {

// Each that a job left is a candidate from its end on, when it is still the very folder that the job had, still its
// owner's, and still what docker makes there (config.json or a buildx folder, or nothing yet). Never one that a
// process or a container uses, or that something is mounted in. It is removed where it is, beneath the folder that it
// lies in, when nobody else could exchange that one (common/deletion_root.h); else it is forgotten.
class DockerConfigs final : public ports::Evictor {
 public:
  struct Parts {
    const Clock& clock;
    WorkerPool& workers;
    ports::LeftFolders& left;
  };
  explicit DockerConfigs(Parts parts) : parts_(parts) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kLeftovers; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override;
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { planned_.clear(); }
  // A look or a removal that runs ends within moments.
  void stop() { stop_.request_stop(); }

  // One of them as it is now.
  struct Found {
    ports::JobFolder folder;
    CacheEntry entry;
    bool gone = false;  // or another one's by now
  };

 private:
  ports::Async<std::vector<policy::Candidate>> list_folders();
  ports::Async<ports::EvictionResult> evict_planned(policy::Candidate candidate);
  // Whether no job that runs has it by now.
  [[nodiscard]] bool is_left(const ports::JobFolder& folder) const;

  Parts parts_;
  std::map<std::string, Found> planned_;  // by path
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
