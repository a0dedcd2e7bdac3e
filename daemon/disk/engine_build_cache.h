// Rung 4: the build cache of the engine's own builder.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "config/settings.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"

namespace buildwarden::disk {

// In steps of a few hundred megabytes, least recently used first. Lost: a rebuild of layers that nobody asked for
// within the age. A candidate is one step: "keep at most so many bytes of what is left".
class EngineBuildCache final : public ports::Rung {
 public:
  struct Parts {
    ports::BuildCache& cache;
    const ports::EngineState& engine;
    const ports::InUse& in_use;
    const Settings& settings;
    const Clock& clock;
    // Whether the wall clock can be trusted for ages; while it cannot, nothing is a candidate.
    std::function<bool()> clock_is_steady;
  };
  explicit EngineBuildCache(Parts parts);

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kBuildCache; }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<Taken> take(const policy::Candidate& candidate, const policy::RungTurn& turn) override;

 private:
  ports::Async<std::vector<policy::Candidate>> list_steps(policy::RungTurn turn);
  ports::Async<Taken> prune(policy::Candidate candidate, policy::RungTurn turn);

  Parts parts_;
  ports::EngineIdentity planned_on_;
};

}  // namespace buildwarden::disk
