// Rung 2: containers that ended, or that nobody ever started.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/clock.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"

namespace buildwarden::disk {

// Lost: their logs, what they wrote outside of volumes, and their anonymous volumes that no other container mounts.
// Never ours or buildx's, none that its restart policy may
// start again, and none by force.
class EndedContainers final : public ports::Evictor {
 public:
  struct Parts {
    ports::Containers& containers;
    ports::EndedContainers& ended;
    const ports::EngineState& engine;
    const ports::InUse& in_use;
    const Clock& clock;
    // Whether the wall clock can be trusted for ages; while it cannot, nothing is a candidate.
    std::function<bool()> clock_is_steady;
    // The device of the filesystem on which the engine keeps that, now; "" when nobody knows.
    std::function<std::string(ports::Kept)> device_of;
  };
  explicit EndedContainers(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kContainers; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return !filesystem.keeps.empty();
  }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  // Dropped as well when its state or its times have changed since the list.
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;

 private:
  ports::Async<std::vector<policy::Candidate>> list_ended(policy::RungTurn turn);
  // Its own files lie with the images, its anonymous volumes perhaps on another filesystem. Nothing: nobody knows
  // where.
  [[nodiscard]] std::optional<std::string> device_of(bool has_volumes) const;
  ports::Async<ports::EvictionResult> evict_after_asking(policy::Candidate candidate);
  // "" when nothing has changed.
  ports::Async<std::string> changed(policy::Candidate candidate);

  Parts parts_;
  ports::EngineIdentity planned_on_;
};

}  // namespace buildwarden::disk
