// Volumes that nobody named and no container mounts any more.
#pragma once

#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/last_use.h"

namespace buildwarden::disk {

// They are left behind by `docker rm` without -v, and no command shows whose they were. Lost: what is in them, for
// good. So only with the engine's own word that nobody named them (is_anonymous_volume()), never by force, and never
// below keep_used_within. Unused since the ledger saw them first, or saw a container mount them last.
class AnonymousVolumes final : public ports::Evictor {
 public:
  struct Parts {
    ports::Containers& containers;
    ports::Volumes& volumes;
    const ports::EngineState& engine;
    const ports::LastUses& ledger;
    const Clock& clock;
  };
  explicit AnonymousVolumes(Parts parts) : parts_(parts) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kAnonymousVolumes; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return filesystem.keeps.contains(ports::Kept::kVolumes);
  }
  // kUnavailable: no engine, or the ledger does not know it yet.
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  // Dropped as well when a container mounts it again, or did since the list.
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;

 private:
  struct World {
    std::vector<ports::VolumeRecord> volumes;  // the anonymous ones
    std::vector<ports::ContainerRecord> containers;
  };
  ports::Async<World> look();
  ports::Async<std::vector<policy::Candidate>> list_unused(policy::RungTurn turn);
  ports::Async<ports::EvictionResult> evict_after_asking(policy::Candidate candidate);
  [[nodiscard]] policy::Candidate describe(const ports::VolumeRecord& volume) const;

  Parts parts_;
  ports::EngineIdentity planned_on_;
};

}  // namespace buildwarden::disk
