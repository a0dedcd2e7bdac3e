// Rung 2, too: networks without a container.
#pragma once

#include "common/clock.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/last_use.h"

namespace buildwarden::disk {

// They cost hardly any space, but addresses, which is why NetworkCollector takes them however much is free. Lost: a
// `docker network create`. Never the engine's own, ours, one that any container names, running or not, or one of a
// compose project that has containers.
class EmptyNetworks final : public ports::Evictor {
 public:
  struct Parts {
    ports::Networks& networks;
    ports::Containers& containers;
    const ports::EngineState& engine;
    ports::NetworkUses& use;
    const Clock& clock;
  };
  explicit EmptyNetworks(Parts parts) : parts_(parts) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kContainers; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return filesystem.has_role("data_root");
  }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;

 private:
  ports::Async<std::vector<policy::Candidate>> list_empty(policy::RungTurn turn);
  ports::Async<ports::EvictionResult> evict_after_asking(policy::Candidate candidate);

  Parts parts_;
  ports::EngineIdentity planned_on_;
};

}  // namespace buildwarden::disk
