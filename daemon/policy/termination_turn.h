// One turn of plan_termination() on its way. Internal to policy/termination*.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/format.h"
#include "daemon/policy/termination.h"

namespace buildwarden::policy {

struct TerminationTurn {
  const TerminationFacts& facts;
  const TerminationTimes& times;
  Now now;
  TerminationPlan plan{};
  bool goes_anyway = false;  // the disk asks for it no more, the agent's one job does

  TerminationPlan say(TerminationState state, std::string rule, std::string reason) {
    plan.state = state;
    plan.rule = std::move(rule);
    plan.reason = std::move(reason);
    return std::move(plan);
  }
  TerminationTurn& next(std::string what, std::optional<BootTime> due = std::nullopt) {
    plan.next = std::move(what);
    plan.due = due;
    return *this;
  }
  // Looks only: no step of the intent.
  TerminationTurn& look(TerminationAction action) {
    plan.action = action;
    return *this;
  }
  // To be recorded first.
  TerminationTurn& act(TerminationStep step) {
    plan.action = step.action;
    plan.decrement = step.decrement;
    step.at = now;
    plan.memory.intent->steps.push_back(step);
    return *this;
  }
  [[nodiscard]] const TerminationIntent& intent() const { return *plan.memory.intent; }
  [[nodiscard]] const GateFacts* gate(const std::string& device) const {
    const auto found = std::find_if(facts.gates.begin(), facts.gates.end(),
                                    [&](const GateFacts& one) { return one.device == device; });
    return found == facts.gates.end() ? nullptr : &*found;
  }
};

inline bool is_full(Level level) { return level == Level::kCritical || level == Level::kExhausted; }

// The intent is there.
TerminationPlan carry_on(TerminationTurn turn);
// The agent was told to stop: until no job runs any more, or their time is over.
TerminationPlan drain(TerminationTurn& turn, const TerminationStep& told);
// An agent runs that was not told to stop yet: then it is.
std::optional<TerminationPlan> newcomer(TerminationTurn& turn);
// It was sent SIGQUIT.
TerminationPlan report(TerminationTurn& turn, const TerminationStep& quit);
TerminationPlan withdraw(TerminationTurn& turn, std::string rule, std::string reason);
// It was withdrawn. Where the agent was told to stop, its unit did nothing about that, since the intent was there: so
// it is for us to start it again.
TerminationPlan withdrawing(TerminationTurn& turn);

}  // namespace buildwarden::policy
