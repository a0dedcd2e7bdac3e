// A termination that has begun: the agent was told to stop, and the intent is on record.
#include "daemon/policy/termination_turn.h"

#include <array>
#include <chrono>

namespace buildwarden::policy {
using Outcome = TerminationOutcome;

namespace {

using enum TerminationState;
using enum TerminationAction;

TerminationPlan finish(TerminationTurn& turn, std::string rule, std::string reason) {
  TerminationStep step;
  step.action = kFinish;
  step.outcome = TerminationOutcome::kDone;
  return turn.act(step).say(kDone, std::move(rule), std::move(reason));
}

// What trying again soon does not cure.
bool is_lasting(TerminationOutcome trouble) {
  using enum TerminationOutcome;
  return trouble == kCredentials || trouble == kDenied || trouble == kRefused || trouble == kMissing;
}

TerminationPlan pause(TerminationTurn& turn) {
  const auto& memory = turn.plan.memory;
  turn.next("ask again", memory.not_before);
  return turn.say(is_lasting(memory.trouble) ? kFailed : kTerminating, std::string(to_string(memory.trouble)),
                  format("try {} failed: {}", memory.failures, memory.trouble_text));
}

// One that was made before is the same step, tried again.
TerminationStep call(TerminationTurn& turn, TerminationAction action, bool decrement) {
  auto& steps = turn.plan.memory.intent->steps;
  TerminationStep step;
  step.action = action;
  step.decrement = decrement;
  const auto before = std::find_if(steps.begin(), steps.end(), [&](const TerminationStep& one) {
    return one.action == action && one.decrement == decrement;
  });
  if (before == steps.end()) return step;
  step.tries = before->tries + 1;
  steps.erase(before);
  return step;
}

// The last one to the group; before the first one what is told last before it.
TerminationStep last_call(const TerminationTurn& turn) {
  const auto& steps = turn.intent().steps;
  const auto found = std::find_if(steps.rbegin(), steps.rend(), [](const TerminationStep& one) {
    return one.action == kTerminate || one.action == kSetHealth;
  });
  if (found != steps.rend()) return *found;
  const auto* told = last_step(turn.intent(), kTell);
  return told != nullptr ? *told : TerminationStep{};
}

// Terminate with the decrement; without it only where the group may not become smaller (or nobody wants it); where
// that is refused for good, the health.
TerminationStep next_call(TerminationTurn& turn) {
  const auto last = last_call(turn);
  if (last.action == kTerminate) {
    const bool refused = last.outcome == TerminationOutcome::kDenied || last.outcome == TerminationOutcome::kRefused;
    if (last.outcome == TerminationOutcome::kMinimumSize && last.decrement) return call(turn, kTerminate, false);
    if (refused || last.outcome == TerminationOutcome::kMinimumSize) return call(turn, kSetHealth, false);
    return call(turn, kTerminate, last.decrement);
  }
  if (last.action == kSetHealth && !is_lasting(last.outcome)) return call(turn, kSetHealth, false);
  return call(turn, kTerminate, turn.facts.decrement);
}

// It stays failed while it is tried again.
TerminationState standing(const TerminationStep& last) {
  const bool stuck = last.action == kSetHealth || last.outcome == TerminationOutcome::kCredentials ||
                     last.outcome == TerminationOutcome::kMissing;
  return stuck && is_lasting(last.outcome) ? kFailed : kTerminating;
}

// The same call again goes by what was wrong with the last one, or the rule would change from second to second.
std::string rule_of(const TerminationStep& last, TerminationAction action) {
  using enum TerminationOutcome;
  const bool again = last.action == action || action == kDescribe;
  const bool failed =
      last.action != kTell && last.outcome != kOpen && last.outcome != kDone && last.outcome != kMinimumSize;
  return std::string(again && failed ? to_string(last.outcome) : to_string(action));
}

TerminationPlan ask_group(TerminationTurn& turn) {
  auto& memory = turn.plan.memory;
  const auto last = last_call(turn);
  const bool called = last.action == kTerminate || last.action == kSetHealth;
  if (called && last.outcome == TerminationOutcome::kDone) {
    return finish(turn, "accepted", "the Auto Scaling group has accepted it: the instance goes");
  }
  // Under way when the daemon ended: another one before its end could be a second one.
  const auto ends = last.at.boot + turn.times.call;
  if (called && last.outcome == TerminationOutcome::kOpen && turn.now.boot < ends) {
    turn.next("ask the Auto Scaling group what became of it", ends);
    return turn.say(kTerminating, "in_flight", "a call may be under way since before the daemon's restart");
  }
  if (memory.not_before && turn.now.boot < *memory.not_before) return pause(turn);
  const bool unclear =
      called && (last.outcome == TerminationOutcome::kOpen || last.outcome == TerminationOutcome::kUnreachable);
  // What was said before the drain, or before a call of unknown end, does not count.
  const bool must_follow = !called || unclear;
  const bool fresh = memory.described && memory.group && turn.now.boot - *memory.described < turn.times.fresh &&
                     (!must_follow || *memory.described > last.at.boot);
  if (!fresh) {
    turn.look(kDescribe).next("have the group terminate the instance");
    return turn.say(standing(last), rule_of(last, kDescribe),
                    "the Auto Scaling group is asked for the instance's state");
  }
  if (*memory.group == GroupState::kOther) {
    turn.next("ask the Auto Scaling group again", *memory.described + turn.times.fresh);
    return turn.say(kTerminating, "lifecycle",
                    format("the instance is {}, neither in service nor leaving", memory.group_word));
  }
  const auto step = next_call(turn);
  turn.act(step).next("be terminated");
  return turn.say(standing(last), rule_of(last, step.action),
                  step.action == kSetHealth ? "the Auto Scaling group is told that the instance is unhealthy"
                  : step.decrement ? "the Auto Scaling group is asked to terminate the instance and become smaller"
                                   : "the Auto Scaling group is asked to terminate and replace the instance");
}

bool has_called(const TerminationTurn& turn) {
  return last_step(turn.intent(), kTerminate) != nullptr || last_step(turn.intent(), kSetHealth) != nullptr;
}

// What ends or holds it before its next step.
std::optional<TerminationPlan> ended(TerminationTurn& turn) {
  auto& memory = turn.plan.memory;
  if (turn.facts.instance.empty()) {
    if (!memory.not_before || turn.now.boot >= *memory.not_before) turn.look(kIdentify);
    turn.next("ask the instance's metadata", memory.not_before);
    return turn.say(kTerminating, "no_metadata",
                    format("which instance this is is not known: {}", memory.trouble_text));
  }
  if (turn.facts.instance != memory.intent->instance) {
    return turn.look(kForget).say(kNone, "other_instance",
                                  format("the intent is another instance's, {}", memory.intent->instance));
  }
  if (turn.facts.dry_run) {
    return turn.say(kHeld, "dry_run", "dry_run was switched on: nothing more is done");
  }
  if (last_step(turn.intent(), kWithdraw) != nullptr) return withdrawing(turn);
  if (!turn.facts.wanted) {
    return withdraw(turn, "not_wanted", "on_full.terminate_instance became false");
  }
  return std::nullopt;
}

// An agent that was told to stop in its one job: started again it would run another one.
bool goes_after_job(const TerminationTurn& turn) {
  const auto* told = last_step(turn.intent(), kTermAgent);
  const bool surely = told != nullptr && told->pid != 0 && told->outcome == TerminationOutcome::kDone;
  return turn.facts.goes_after_job && turn.facts.has_agent && turn.intent().had_job && surely;
}

// The disk's say, until the first call to the group.
std::optional<TerminationPlan> relieved(TerminationTurn& turn) {
  if (has_called(turn)) return std::nullopt;
  const auto* gate = turn.gate(turn.intent().device);
  const bool asks = gate != nullptr && is_full(gate->level);
  turn.goes_anyway = !asks && goes_after_job(turn);
  if (turn.goes_anyway) return std::nullopt;
  if (gate == nullptr || gate->level == Level::kUnknown) {
    return turn.say(kDraining, "unknown",
                    format("how full {} is is not known, so nothing more is done", turn.intent().mount));
  }
  if (!asks) return withdraw(turn, "recovered", gate->reason);
  return std::nullopt;
}

struct ActionName {
  TerminationAction action;
  std::string_view name;
};
constexpr std::array kActions = {
    ActionName{kRest, "none"},           ActionName{kIdentify, "identify"},   ActionName{kDescribe, "describe"},
    ActionName{kTermAgent, "sigterm"},   ActionName{kQuitAgent, "sigquit"},   ActionName{kTell, "tell"},
    ActionName{kTerminate, "terminate"}, ActionName{kSetHealth, "unhealthy"}, ActionName{kWithdraw, "withdraw"},
    ActionName{kStartAgent, "start"},    ActionName{kForget, "forget"},       ActionName{kFinish, "finish"},
};

struct OutcomeName {
  Outcome outcome;
  std::string_view name;
};
constexpr std::array kOutcomes = {
    OutcomeName{Outcome::kOpen, "open"},
    OutcomeName{Outcome::kDone, "done"},
    OutcomeName{Outcome::kThrottled, "throttled"},
    OutcomeName{Outcome::kUnreachable, "unreachable"},
    OutcomeName{Outcome::kMinimumSize, "minimum_size"},
    OutcomeName{Outcome::kCredentials, "credentials"},
    OutcomeName{Outcome::kDenied, "denied"},
    OutcomeName{Outcome::kNotThere, "not_there"},
    OutcomeName{Outcome::kRefused, "refused"},
    OutcomeName{Outcome::kMissing, "missing"},
};

// With chance, so that hosts that were throttled together do not come again together: half to one and a half.
Duration spread(Duration time, double chance) {
  const auto some = std::chrono::duration<double, std::milli>(time) * (0.5 + chance);
  return std::chrono::duration_cast<Duration>(some);
}

// Where the next step differs, it follows at once.
std::optional<Duration> pause_after(const TerminationNews& news, int failures, const TerminationTimes& times) {
  switch (news.outcome) {
    case Outcome::kOpen:
    case Outcome::kDone:
    case Outcome::kNotThere: return std::nullopt;
    case Outcome::kThrottled:
    case Outcome::kUnreachable: {
      const auto doubled = times.retry_first * (std::int64_t{1} << std::clamp(failures - 1, 0, 16));
      return spread(std::min<Duration>(doubled, times.retry_most), news.chance);
    }
    case Outcome::kCredentials: return spread(times.retry_most, news.chance);
    case Outcome::kMinimumSize:
    case Outcome::kDenied:
    case Outcome::kRefused:
      if (news.action == kTerminate) return std::nullopt;
      return spread(times.retry_slow, news.chance);
    case Outcome::kMissing: return spread(times.retry_slow, news.chance);
  }
  return std::nullopt;
}

// How often in a row this has failed now; a call keeps count by itself, whatever is asked in between.
int failures_of(const TerminationMemory& memory, const TerminationNews& news) {
  const bool calls = news.action == kTerminate || news.action == kSetHealth;
  const auto* step = calls && memory.intent ? last_step(*memory.intent, news.action) : nullptr;
  if (step != nullptr) return step->tries;
  return memory.failures + 1;
}

void close_step(TerminationMemory& memory, const TerminationNews& news) {
  if (!memory.intent) return;
  auto& steps = memory.intent->steps;
  const auto step =
      std::find_if(steps.rbegin(), steps.rend(), [&](const TerminationStep& one) { return one.action == news.action; });
  if (step != steps.rend() && step->outcome == Outcome::kOpen) step->outcome = news.outcome;
}

}  // namespace

TerminationPlan carry_on(TerminationTurn turn) {
  if (last_step(turn.intent(), kFinish) != nullptr) {
    return turn.say(kDone, "accepted", "the instance is being terminated");
  }
  if (auto plan = ended(turn)) return *std::move(plan);
  auto& memory = turn.plan.memory;
  if (!memory.described) {
    turn.look(kDescribe).next("go on where the daemon before this one ended");
    return turn.say(kTerminating, "describe", "the Auto Scaling group is asked for the instance's state first");
  }
  if (memory.group == GroupState::kLeaving || memory.group == GroupState::kAbsent) {
    return finish(turn, "leaving", format("the instance is {}: there is nothing left to do", memory.group_word));
  }
  if (auto plan = relieved(turn)) return *std::move(plan);
  const auto* term = last_step(*memory.intent, kTermAgent);
  const auto* quit_step = last_step(*memory.intent, kQuitAgent);
  const auto* told = last_step(*memory.intent, kTell);
  if (told == nullptr && quit_step != nullptr) {
    const auto step = *quit_step;
    return report(turn, step);
  }
  if (told == nullptr) {
    const auto step = term != nullptr ? *term : TerminationStep{.at = memory.intent->began};
    return drain(turn, step);
  }
  // Its unit restarts an agent that ended with a failure, as one may after SIGQUIT.
  if (auto plan = newcomer(turn)) return *std::move(plan);
  const auto shipped = told->at.boot + turn.times.ship;
  if (turn.now.boot < shipped) {
    turn.next("ask the Auto Scaling group", shipped);
    return turn.say(kReporting, "ship", "the log's last line is on its way");
  }
  return ask_group(turn);
}

TerminationMemory note_outcome(TerminationMemory memory, const TerminationNews& news, const TerminationTimes& times,
                               Now now) {
  if (news.action == kForget) return {};
  close_step(memory, news);
  if (news.action == kDescribe) {
    memory.described = now.boot;
    memory.group = news.group;
    memory.group_word = news.group_word;
  }
  // There is no such instance in any group: it has gone.
  if (news.outcome == Outcome::kNotThere) {
    memory.group = GroupState::kAbsent;
    memory.group_word = "in no Auto Scaling group";
    memory.described = now.boot;
  }
  memory.failures = news.outcome == Outcome::kDone ? 0 : failures_of(memory, news);
  memory.trouble = news.outcome;
  memory.trouble_text = news.outcome == Outcome::kDone ? std::string() : news.text;
  const auto pause = pause_after(news, memory.failures, times);
  memory.not_before.reset();
  if (pause) memory.not_before = now.boot + *pause;
  // Its unit takes a moment.
  if (news.action == kStartAgent && !pause) memory.not_before = now.boot + spread(times.retry_most, news.chance);
  return memory;
}

std::string_view to_string(TerminationState state) {
  switch (state) {
    case TerminationState::kNone: return "none";
    case TerminationState::kHeld: return "held";
    case TerminationState::kWaiting: return "waiting";
    case TerminationState::kDraining: return "draining";
    case TerminationState::kReporting: return "reporting";
    case TerminationState::kTerminating: return "terminating";
    case TerminationState::kDone: return "done";
    case TerminationState::kFailed: return "failed";
    case TerminationState::kWithdrawing: return "withdrawing";
  }
  return "none";
}

std::string_view to_string(TerminationAction action) {
  const auto found =
      std::find_if(kActions.begin(), kActions.end(), [&](const auto& one) { return one.action == action; });
  return found == kActions.end() ? "none" : found->name;
}

std::optional<TerminationAction> action_named(std::string_view name) {
  const auto found = std::find_if(kActions.begin(), kActions.end(), [&](const auto& one) { return one.name == name; });
  if (found == kActions.end()) return std::nullopt;
  return found->action;
}

std::string_view to_string(TerminationOutcome outcome) {
  const auto found =
      std::find_if(kOutcomes.begin(), kOutcomes.end(), [&](const auto& one) { return one.outcome == outcome; });
  return found == kOutcomes.end() ? "open" : found->name;
}

std::optional<TerminationOutcome> outcome_named(std::string_view name) {
  const auto found =
      std::find_if(kOutcomes.begin(), kOutcomes.end(), [&](const auto& one) { return one.name == name; });
  if (found == kOutcomes.end()) return std::nullopt;
  return found->outcome;
}

}  // namespace buildwarden::policy
