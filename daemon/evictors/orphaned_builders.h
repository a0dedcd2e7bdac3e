// Rung 7: builders that jobs made with buildx and left behind.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/buildx_objects.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/last_use.h"

namespace buildwarden::disk {

// A candidate is a container with the state volume that buildx made for it, as `buildx rm` would delete them, or such a
// volume that no container mounts. Lost: a cache that nobody has used for the age, and a builder that buildx makes
// again when it is asked for. Never one of ours, a front or alias of a configured builder, one that an instance file of
// a person names, one in which a command runs, and no volume that somebody labelled. A running one is asked to stop and
// removed without force. Their sizes are not known: the engine would walk through the volumes for them.
class OrphanedBuilders final : public ports::Evictor {
 public:
  struct Parts {
    ports::Containers& containers;
    ports::EndedContainers& ended;
    ports::Volumes& volumes;
    const ports::EngineState& engine;
    const ports::InUse& in_use;
    ports::BuilderOwners& owners;
    const ports::LastUses& ledger;
    const Clock& clock;
  };
  explicit OrphanedBuilders(Parts parts) : parts_(parts) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kOrphans; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return filesystem.keeps.contains(ports::Kept::kVolumes);
  }
  // kUnavailable: no engine, or the ledger does not know it yet; also when it is not known which are people's.
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  // Dropped as well when it was used since the list, runs a command, or became somebody's.
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;

 private:
  struct World {
    std::map<std::string, std::string> owners;
    std::vector<ports::VolumeRecord> volumes;
    std::vector<ports::ContainerRecord> containers;
  };
  ports::Async<World> look();
  ports::Async<std::vector<policy::Candidate>> list_all();
  // The container as a candidate; `id` empty: it is gone.
  ports::Async<policy::Candidate> describe(ports::ContainerRecord container, std::string owner);
  policy::Candidate describe_volume(const ports::VolumeRecord& volume) const;
  ports::Async<ports::EvictionResult> evict_after_asking(policy::Candidate candidate);
  ports::Async<ports::EvictionResult> remove_container(ports::ContainerRecord container, bool with_volume);
  ports::Async<ports::EvictionResult> remove_volume(std::string name);
  // Why `fresh`, what is found now of the planned candidate, must be left alone; "" when there is no reason.
  [[nodiscard]] std::string changed(const policy::Candidate& planned, const policy::Candidate& fresh) const;

  Parts parts_;
  ports::EngineIdentity planned_on_;
};

}  // namespace buildwarden::disk
