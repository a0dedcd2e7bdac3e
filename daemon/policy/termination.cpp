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

// The signal did not get there: it may be sent again.
bool is_unsent(const TerminationStep& step) {
  return step.outcome == TerminationOutcome::kRefused || step.outcome == TerminationOutcome::kMissing;
}

// The process that runs now was sent that signal, or perhaps was.
bool was_sent(const TerminationTurn& turn, TerminationAction signal) {
  const auto& steps = turn.intent().steps;
  return std::any_of(steps.begin(), steps.end(), [&](const TerminationStep& step) {
    return step.action == signal && !is_unsent(step) && step.pid == turn.facts.agent.pid &&
           step.pid_started == turn.facts.agent.pid_started;
  });
}

TerminationStep to_agent(TerminationTurn& turn, TerminationAction signal) {
  auto& steps = turn.plan.memory.intent->steps;
  std::erase_if(steps, [&](const TerminationStep& one) { return one.action == signal && is_unsent(one); });
  TerminationStep step;
  step.action = signal;
  step.pid = turn.facts.agent.pid;
  step.pid_started = turn.facts.agent.pid_started;
  return step;
}

bool agent_gone(const TerminationTurn& turn) {
  return !turn.facts.has_agent || (turn.facts.agent.known && turn.facts.agent.pid == 0);
}

TerminationPlan cancel_jobs(TerminationTurn& turn, std::string rule, std::string reason) {
  turn.act(to_agent(turn, kQuitAgent)).next("write the reason to the log");
  return turn.say(kReporting, std::move(rule), std::move(reason));
}

TerminationPlan tell(TerminationTurn& turn, std::string reason) {
  TerminationStep step;
  step.action = kTell;
  turn.act(step).next("ask the Auto Scaling group");
  return turn.say(kReporting, "tell", std::move(reason));
}

std::string jobs_text(const TerminationFacts& facts) {
  if (!facts.jobs) return format("which jobs run is not known ({}), so some may", facts.jobs_trouble);
  return *facts.jobs == 1 ? std::string("1 job runs") : format("{} jobs run", *facts.jobs);
}

// Only when their time is over, or without any.
std::optional<TerminationPlan> past_patience(TerminationTurn& turn, const TerminationStep& told) {
  const auto& facts = turn.facts;
  const auto& idle_since = turn.plan.memory.idle_since;
  const auto waited = turn.now.boot - told.at.boot;
  if (agent_gone(turn) && idle_since) return tell(turn, "the agent has stopped and no job runs");
  if (facts.drain_timeout > Duration{0} && waited >= facts.drain_timeout && !turn.goes_anyway) {
    auto why =
        format("{}, and instance.drain_timeout {} is over", jobs_text(facts), short_duration(facts.drain_timeout));
    if (agent_gone(turn)) return tell(turn, "the agent has stopped; " + why);
    return cancel_jobs(turn, "drain_timeout", std::move(why));
  }
  if (idle_since && turn.now.boot - *idle_since >= turn.times.idle_agent) {
    return cancel_jobs(
        turn, "agent_lingers",
        format("no job runs for {}, and the agent has not ended", short_duration(turn.times.idle_agent)));
  }
  return std::nullopt;
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

TerminationPlan withdraw(TerminationTurn& turn, std::string rule, std::string reason) {
  TerminationStep step;
  step.action = kWithdraw;
  turn.act(step).next("start the agent again, once it has stopped");
  return turn.say(kWithdrawing, std::move(rule), std::move(reason));
}

TerminationPlan withdrawing(TerminationTurn& turn) {
  const auto* told = last_step(turn.intent(), kTermAgent);
  const bool surely = told != nullptr && told->pid != 0 && told->outcome == TerminationOutcome::kDone;
  if (!surely || !turn.facts.has_agent) {
    return turn.look(kForget).say(kWithdrawing, "withdrawn", "nothing was done that needs to be undone");
  }
  if (!turn.facts.agent.known) {
    return turn.say(kWithdrawing, "agent_unknown",
                    format("whether the agent runs is not known: {}", turn.facts.agent.trouble));
  }
  if (turn.facts.agent.pid != 0 && was_sent(turn, kTermAgent)) {
    turn.next("start the agent again");
    return turn.say(kWithdrawing, "agent_stopping",
                    format("no termination any more; the agent (process {}) ends its jobs first", told->pid));
  }
  if (turn.facts.agent.pid != 0) {
    return turn.look(kForget).say(kWithdrawing, "withdrawn", "the agent runs again");
  }
  const auto& not_before = turn.plan.memory.not_before;
  if (not_before && turn.now.boot < *not_before) {
    turn.next("start the agent again", not_before);
    const auto& why = turn.plan.memory.trouble_text;
    return turn.say(kWithdrawing, "agent_down", format("the agent does not run yet{}{}", why.empty() ? "" : ": ", why));
  }
  std::erase_if(turn.plan.memory.intent->steps, [](const TerminationStep& one) { return one.action == kStartAgent; });
  TerminationStep step;
  step.action = kStartAgent;
  return turn.act(step).say(kWithdrawing, "start_agent", "the agent has stopped and is started again");
}

std::optional<TerminationPlan> newcomer(TerminationTurn& turn) {
  const auto& memory = turn.plan.memory;
  const auto& agent = turn.facts.agent;
  if (!turn.facts.has_agent || !agent.known || agent.pid == 0 || was_sent(turn, kTermAgent)) return std::nullopt;
  const auto* told = last_step(*memory.intent, kTermAgent);
  const bool waits = told != nullptr && is_unsent(*told) && memory.not_before && turn.now.boot < *memory.not_before;
  if (waits) {
    turn.next("tell the agent to stop", memory.not_before);
    return turn.say(kDraining, "agent_untold", format("the agent cannot be told: {}", memory.trouble_text));
  }
  turn.act(to_agent(turn, kTermAgent)).next("wait for its jobs");
  if (turn.facts.jobs != 0) turn.plan.memory.intent->had_job = true;
  return turn.say(kDraining, "drain", "an agent runs that was not told to stop yet");
}

TerminationPlan drain(TerminationTurn& turn, const TerminationStep& told) {
  auto& memory = turn.plan.memory;
  const auto& facts = turn.facts;
  const bool over = facts.jobs && *facts.jobs == 0;
  if (!over) memory.idle_since.reset();
  if (over && !memory.idle_since) memory.idle_since = turn.now.boot;
  if (facts.has_agent && !facts.agent.known) {
    return turn.say(kDraining, "agent_unknown", format("whether the agent runs is not known: {}", facts.agent.trouble));
  }
  if (auto plan = newcomer(turn)) return *std::move(plan);
  if (auto plan = past_patience(turn, told)) return *std::move(plan);
  if (turn.goes_anyway) {
    turn.next("go on when its job has ended, however long that takes");
    return turn.say(kDraining, "after_job",
                    "the disk asks for it no more; the agent was told to stop in its one job, after which the instance "
                    "goes in any case (agent.terminate_after_job)");
  }
  std::optional<BootTime> due;
  if (facts.drain_timeout > Duration{0}) due = told.at.boot + facts.drain_timeout;
  turn.next(due ? "cancel the jobs" : "go on when all jobs have ended, however long that takes", due);
  return turn.say(kDraining, "jobs", over ? std::string("no job runs; the agent is about to end") : jobs_text(facts));
}

TerminationPlan report(TerminationTurn& turn, const TerminationStep& quit) {
  const auto until = quit.at.boot + turn.times.report;
  if (agent_gone(turn)) return tell(turn, "the agent has stopped");
  if (turn.now.boot >= until) {
    return tell(turn, format("the agent has not stopped in {}", short_duration(turn.times.report)));
  }
  turn.next("write the reason to the log", until);
  return turn.say(kReporting, "report", "the jobs were cancelled and report that");
}

}  // namespace buildwarden::policy
