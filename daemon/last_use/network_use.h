// Since when each network is empty, as far as we have watched: the engine does not know.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/clock.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/last_use.h"

namespace buildwarden::disk {

// In memory only: after a start, and after each time that events may have been lost, every network counts as just used.
class NetworkUse final : public ports::NetworkUses {
 public:
  explicit NetworkUse(const Clock& clock) : clock_(clock) {}

  void on_event(const ports::EngineEvent& event);
  void on_connected();
  void on_lost() { watched_since_.reset(); }

  // Somebody was seen to use it.
  void used(const std::string& id) override { used_[id] = clock_.now(); }
  [[nodiscard]] policy::LastUse last_use(const ports::NetworkRecord& network, Now now) const override;

 private:
  const Clock& clock_;
  std::optional<Now> watched_since_;  // nothing while there are no events
  std::map<std::string, Now> used_;   // since then
};

}  // namespace buildwarden::disk
