// The instance as jobs, the API and metrics see it: whether it is about to be terminated.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/time.h"
#include "daemon/policy/termination.h"

namespace buildwarden::ports {

struct TerminationView {
  policy::TerminationState state = policy::TerminationState::kNone;
  std::string reason;  // one sentence with its numbers
  std::string rule;
  std::optional<WallTime> since;               // that it is in this state; nothing before the first look
  std::string next;                            // what comes next; "" = nothing
  std::optional<Duration> left;                // until then; nothing: it depends on others
  std::string mount;                           // whose shortage asks for it; "" = none
  std::string instance;                        // "i-…", "" = not known
  std::vector<policy::TerminationStep> steps;  // done so far
};

class TerminationViews {
 public:
  virtual ~TerminationViews() = default;
  [[nodiscard]] virtual TerminationView termination_view() const = 0;
};

class JobGate {
 public:
  virtual ~JobGate() = default;
  // Why no new job may start on this instance, one sentence; "" = jobs may start.
  [[nodiscard]] virtual std::string refusal() const = 0;
};

}  // namespace buildwarden::ports
