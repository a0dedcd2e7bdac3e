#include "daemon/policy/termination.h"

#include "daemon/policy/termination_turn.h"

namespace buildwarden::policy {
namespace {

using enum TerminationState;
using enum TerminationAction;

TerminationPlan held(TerminationTurn& turn, std::string rule, std::string reason) {
  turn.plan.memory.go_at.reset();
  return turn.say(kHeld, std::move(rule), std::move(reason));
}

// Nothing asks for it any more.
TerminationPlan nothing(TerminationTurn& turn, std::string rule, std::string reason) {
  turn.plan.memory = {};
  return turn.say(kNone, std::move(rule), std::move(reason));
}

// The instance and its group must be known before an agent is told to stop for them.
std::optional<TerminationPlan> unfit(TerminationTurn& turn) {
  auto& memory = turn.plan.memory;
  const bool may_ask = !memory.not_before || turn.now.boot >= *memory.not_before;
  if (turn.facts.instance.empty()) {
    turn.next("ask the instance's metadata", memory.not_before);
    if (may_ask) turn.look(kIdentify);
    if (memory.trouble_text.empty()) return held(turn, "identify", "the instance's metadata are asked who it is");
    return held(turn, "no_metadata", format("which instance this is is not known: {}", memory.trouble_text));
  }
  const bool asked = memory.described.has_value();
  if (!asked || (memory.trouble == TerminationOutcome::kMissing && may_ask)) {
    turn.next("ask the Auto Scaling group").look(kDescribe);
    return held(turn, "group_unknown", "the Auto Scaling group is asked for the instance's state first");
  }
  if (memory.trouble == TerminationOutcome::kMissing) {
    turn.next("look for the AWS CLI again", memory.not_before);
    return held(turn, "no_cli", format("the AWS CLI cannot be run: {}", memory.trouble_text));
  }
  if (memory.group == GroupState::kLeaving) {
    return turn.say(kDone, "leaving", format("the instance is {} already", memory.group_word));
  }
  if (memory.group != GroupState::kAbsent) return std::nullopt;
  if (turn.now.boot - *memory.described >= turn.times.retry_slow) turn.look(kDescribe);
  turn.next("ask the Auto Scaling group again", *memory.described + turn.times.retry_slow);
  return held(turn, "not_in_group",
              format("the instance {} is in no Auto Scaling group that could replace it", turn.facts.instance));
}

// Why the disk's wish is not followed now; nothing: it is.
std::optional<TerminationPlan> guarded(TerminationTurn& turn, const GateFacts& gate) {
  const auto uptime = turn.now.boot.time_since_epoch();
  if (!gate.mistake.empty()) {
    return held(turn, "marks_beyond_size",
                format("{}, and a mistake of the configuration ends no instance: {}", gate.mount, gate.mistake));
  }
  if (!gate.was_ok) {
    return held(turn, "disk_too_small",
                format("{}, and it has never had enough since boot: a new instance would be as full", gate.reason));
  }
  if (uptime < turn.facts.min_uptime) {
    turn.next("look again", BootTime{turn.facts.min_uptime});
    return held(turn, "min_uptime",
                format("the instance is up for {}, less than instance.min_uptime {}", short_duration(uptime),
                       short_duration(turn.facts.min_uptime)));
  }
  if (turn.facts.engine_away && *turn.facts.engine_away < turn.times.engine_away) {
    turn.next("look again", turn.now.boot + turn.times.engine_away - *turn.facts.engine_away);
    return held(
        turn, "engine_away",
        format("the engine is away for {}, and what it keeps may still go", short_duration(*turn.facts.engine_away)));
  }
  if (turn.facts.dry_run) {
    return held(turn, "dry_run",
                format("{}: would drain and terminate the instance; dry run, nothing is done", gate.reason));
  }
  return unfit(turn);
}

TerminationPlan begin(TerminationTurn turn, const GateFacts& gate) {
  auto& memory = turn.plan.memory;
  const bool waits = !memory.go_at || turn.now.boot < *memory.go_at;  // a turn at least: then the agent is looked at
  if (!memory.go_at) {
    const auto wait = std::chrono::duration<double, std::milli>(turn.times.jitter) * turn.facts.chance;
    memory.go_at = turn.now.boot + std::chrono::duration_cast<Duration>(wait);
  }
  if (waits) {
    turn.next("tell the agent to stop", memory.go_at);
    return turn.say(kWaiting, "jitter", format("{}, after all that is allowed was done", gate.reason));
  }
  if (turn.facts.has_agent && !turn.facts.agent.known) {
    return turn.say(kHeld, "agent_unknown",
                    format("whether the agent runs is not known: {}", turn.facts.agent.trouble));
  }
  TerminationIntent intent;
  intent.instance = turn.facts.instance;
  intent.region = turn.facts.region;
  intent.device = gate.device;
  intent.mount = gate.mount;
  intent.reason = gate.reason;
  intent.began = turn.now;
  intent.had_job = turn.facts.jobs != 0;
  memory.intent = std::move(intent);
  TerminationStep step;
  step.action = kTermAgent;
  if (turn.facts.has_agent) step.pid = turn.facts.agent.pid;
  if (turn.facts.has_agent) step.pid_started = turn.facts.agent.pid_started;
  turn.act(step).next("wait for its jobs");
  return turn.say(kDraining, "drain", format("{}: the agent is told to stop", gate.reason));
}

TerminationPlan consider(TerminationTurn turn) {
  const auto& memory = turn.plan.memory;
  if (!turn.facts.wanted) {
    return nothing(turn, "not_wanted", "on_full.terminate_instance is false: the instance is never terminated");
  }
  if (memory.wanted_by.empty()) return nothing(turn, "none", "no disk asks for it");
  const auto* gate = turn.gate(memory.wanted_by);
  if (gate == nullptr) return nothing(turn, "none", "the disk that asked for it is watched no more");
  if (gate->level == Level::kUnknown) {
    return held(turn, "unknown", format("how full {} is is not known, which is no reason to terminate", gate->mount));
  }
  if (!is_full(gate->level)) return nothing(turn, "recovered", gate->reason);
  if (auto plan = guarded(turn, *gate)) return *std::move(plan);
  return begin(std::move(turn), *gate);
}

}  // namespace

TerminationPlan plan_termination(const TerminationFacts& facts, TerminationMemory memory, const TerminationTimes& times,
                                 Now now) {
  TerminationTurn turn{.facts = facts, .times = times, .now = now};
  turn.plan.memory = std::move(memory);
  return turn.plan.memory.intent ? carry_on(std::move(turn)) : consider(std::move(turn));
}

TerminationPlan foresee_termination(TerminationFacts facts, const std::string& device, const TerminationTimes& times,
                                    Now now) {
  facts.dry_run = true;
  TerminationMemory memory;
  memory.wanted_by = device;
  return plan_termination(facts, std::move(memory), times, now);
}

bool refuses_jobs(TerminationState state) { return state != kNone && state != kHeld && state != kWithdrawing; }

const TerminationStep* last_step(const TerminationIntent& intent, TerminationAction action) {
  const auto found = std::find_if(intent.steps.rbegin(), intent.steps.rend(),
                                  [&](const TerminationStep& one) { return one.action == action; });
  return found == intent.steps.rend() ? nullptr : &*found;
}

}  // namespace buildwarden::policy
