// What came of a step, and when to try again; the words of states, actions and outcomes.
#include <array>
#include <chrono>

#include "daemon/policy/termination_turn.h"

namespace buildwarden::policy {
namespace {

using enum TerminationAction;
using Outcome = TerminationOutcome;

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
