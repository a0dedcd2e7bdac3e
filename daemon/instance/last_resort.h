// Rung 9: nothing is deleted; that it is reached is what a termination begins with.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "config/settings.h"
#include "daemon/instance/termination.h"
#include "daemon/ports/disk.h"

namespace buildwarden::instance {

// Only with terminate_instance, and only for a filesystem that gates jobs and is critical at that moment. Without it
// nothing but the admission's own refusals is left, and this rung is as if it were not there.
class LastResort final : public ports::Evictor {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    const ports::DiskViews& disk;
    Termination& termination;
  };
  explicit LastResort(Parts parts) : parts_(parts) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kLastResort; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override;
  // Always empty. Not in a climb's dry run, but in the daemon's own, whose termination only says what it would do.
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  [[nodiscard]] std::optional<ports::LastResortView> last_resort(
      const ports::FilesystemSnapshot& filesystem) const override;

 private:
  [[nodiscard]] const std::set<std::string>& full() const;

  Parts parts_;
  // By device; looked up once for a moment, since a climb asks for each candidate.
  mutable std::set<std::string> full_;
  mutable std::optional<BootTime> looked_;
};

}  // namespace buildwarden::instance
