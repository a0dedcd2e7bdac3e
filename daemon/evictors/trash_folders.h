// Rung 1: what we left over ourselves.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "common/clock.h"
#include "common/deletion_root.h"
#include "common/tree_look.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// Things that were thrown away and not removed before the daemon was killed: in .buildwarden-trash of the folders that
// we throw away in, when that is a folder of ours that nobody else may enter. And damaged state files that were kept
// for a look, once they are older than the age.
class TrashFolders final : public ports::Evictor {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    WorkerPool& workers;
  };
  explicit TrashFolders(Parts parts) : parts_(parts) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kLeftovers; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override;
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { planned_.clear(); }
  // A look or a removal that runs ends within moments.
  void stop() { stop_.request_stop(); }

  struct Leftover {
    std::shared_ptr<DeletionRoot> root;
    std::string name;  // in its trash, or in itself
    TreeLook look;
    bool thrown_away = false;  // it lies in the trash
  };

 private:
  ports::Async<std::vector<policy::Candidate>> list_leftovers();
  ports::Async<ports::EvictionResult> evict_planned(policy::Candidate candidate);

  Parts parts_;
  std::map<std::string, Leftover> planned_;  // by path
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
