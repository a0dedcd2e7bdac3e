// "reclaim.rung_failed": told by who climbs, and by a rung of which a part failed.
#pragma once

#include <string>

#include "common/format.h"
#include "common/result.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/journal.h"

namespace buildwarden::ports {

inline Event rung_failed_event(const policy::RungTurn& turn, const Error& error) {
  const std::string rung(policy::to_string(turn.rung));
  Event event;
  event.kind = "reclaim.rung_failed";
  event.severity = Severity::kError;
  event.reason = format("The rung {} failed, the next one goes on: {}.", rung, error.message());
  event.rule = std::string(to_string(error.code()));
  event.fields.emplace_back("rung", rung);
  if (turn.on_demand) event.fields.emplace_back(kOnDemandField, true);
  return event;
}

}  // namespace buildwarden::ports
