// The agent's part of a termination: told to stop, waited for, cancelled; or started again.
#include "daemon/policy/termination_turn.h"

namespace buildwarden::policy {
namespace {

using enum TerminationState;
using enum TerminationAction;

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
