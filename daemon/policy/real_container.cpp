#include "daemon/policy/real_container.h"

#include <chrono>

#include "common/format.h"
#include "daemon/policy/crash_loop.h"

namespace buildwarden::policy {
namespace {

constexpr int kFrozenQuestions = 3;
constexpr Duration kFrozen = std::chrono::seconds{30};
constexpr Duration kFrozenAtStart = std::chrono::minutes{2};
constexpr Duration kLongestSilence = std::chrono::minutes{5};
constexpr Duration kLongestStart = std::chrono::minutes{15};
constexpr int kIdlePart = 100;

bool does_nothing(const ObservedBuilder& observed) {
  const auto& unresponsive = observed.unresponsive;
  return unresponsive.idle_questions >= kFrozenQuestions &&
         unresponsive.idle >= (observed.answered_before ? kFrozen : kFrozenAtStart);
}

void add(RealSteps& result, BuilderAction action, std::string_view rule, std::string what) {
  result.needs_image = result.needs_image || action == BuilderAction::kCreate;
  // The container's name is filled in by heal_real.
  result.steps.push_back({action, {}, std::move(what), std::string(rule)});
}

void recreate(RealSteps& result, std::string_view rule, const std::string& what) {
  add(result, BuilderAction::kRemove, rule, what);
  add(result, BuilderAction::kCreate, rule, what);
}

// Started, unpaused or waited for: what keeps the container as it is.
void revive(RealSteps& result, const std::string& name, ContainerState state) {
  switch (state) {
    case ContainerState::kCreated:
      return add(result, BuilderAction::kStart, "created",
                 format("the container {} was never started: it is started", name));
    case ContainerState::kExited:
      return add(result, BuilderAction::kStart, "exited", format("the container {} has exited: it is started", name));
    case ContainerState::kPaused:
      return add(result, BuilderAction::kUnpause, "paused", format("the container {} is paused: it is unpaused", name));
    default: return;
  }
}

void heal_foreign(RealSteps& result, const std::string& name, const DesiredBuilder& desired,
                  const ObservedBuilder& observed) {
  const auto state = observed.real.state;
  const bool silent = state == ContainerState::kRunning && !observed.answers;
  if (!desired.adopt_foreign) {
    result.refused = true;
    result.note = format("a container {} is there that is not ours, and on_foreign is refuse", name);
  } else if (state == ContainerState::kDead) {
    result.refused = true;
    result.note = format("the adopted container {} is dead, and what is not ours is never removed", name);
  } else if (silent && observed.unresponsive.questions >= kFrozenQuestions) {
    result.refused = true;
    result.note = format(
        "the adopted container {} runs, but for {} nobody has answered at the builder's socket: it has to serve it in "
        "the builder's folder on the host",
        name, short_duration(observed.unresponsive.lasts));
  } else {
    revive(result, name, state);
  }
}

bool carries_builds(ContainerState state) {
  return state == ContainerState::kRunning || state == ContainerState::kPaused;
}

struct Change {
  std::string_view rule;
  std::string why;   // it is made anew
  std::string what;  // "…" is applied once no build runs
};

// Why it has to be made anew on its volume as soon as nobody builds.
std::optional<Change> wanted_change(const DesiredBuilder& desired, const ObservedBuilder& observed,
                                    const std::string& name) {
  if (observed.real.spec_digest != desired.spec_digest) {
    return Change{"spec_changed", format("the image or configuration of {} has changed", name),
                  "a changed image or configuration"};
  }
  if (observed.real.other_folder) {
    return Change{"folder_changed", format("the socket folder of {} on the host is another one than it serves", name),
                  "the host's own socket folder"};
  }
  if (desired.recreate != Recreation::kNone) {
    return Change{"asked", format("somebody asked for {} to be made anew", name), "the recreation that was asked for"};
  }
  return std::nullopt;
}

void restart_frozen(RealSteps& result, const std::string& name, const ObservedBuilder& observed) {
  const auto& unresponsive = observed.unresponsive;
  const auto how = does_nothing(observed) ? format("{} questions in {} and did next to nothing in that time",
                                                   unresponsive.idle_questions, short_duration(unresponsive.idle))
                                          : format("{} questions in {}, whatever else it does", unresponsive.questions,
                                                   short_duration(unresponsive.lasts));
  add(result, BuilderAction::kRestart, "frozen",
      format("the container {} has not answered {}: it counts as dead and is restarted", name, how));
}

// `frozen`: what it carried is dead.
void apply(RealSteps& result, const std::string& name, const DesiredBuilder& desired, const ObservedBuilder& observed,
           const Change& change) {
  const auto state = observed.real.state;
  const bool at_any_cost = desired.recreate == Recreation::kForced || is_frozen(observed);
  if (!carries_builds(state) || observed.running_builds == 0 || at_any_cost) {
    return recreate(result, change.rule, change.why + ": it is made anew on its volume");
  }
  result.note =
      format("{} is applied to {} once no build runs ({} connections)", change.what, name, observed.running_builds);
  if (desired.recreate != Recreation::kNone) result.not_recreated = result.note;
  revive(result, name, state);
}

void heal_ours(RealSteps& result, const std::string& name, const DesiredBuilder& desired,
               const ObservedBuilder& observed) {
  const auto state = observed.real.state;
  if (state == ContainerState::kDead)
    return recreate(result, "dead", format("the container {} is dead: it is made anew on its volume", name));
  if (const auto change = wanted_change(desired, observed, name))
    return apply(result, name, desired, observed, *change);
  if (is_frozen(observed)) return restart_frozen(result, name, observed);
  revive(result, name, state);
}

// Whether the loop's last step is to be taken, which goes before all others.
bool end_loop(RealSteps& result, const DesiredBuilder& desired, const ObservedBuilder& observed,
              const BuilderMemory& memory, Now now) {
  auto verdict = judge_crashes(desired, observed, memory.crash, now);
  if (!verdict.change_to) {
    result.note = std::move(verdict.reason);
    return false;
  }
  recreate(result, "crash_loop", verdict.reason);
  result.crashes = std::move(verdict.change_to);
  return true;
}

}  // namespace

bool does_next_to_nothing(const Work& work) {
  return work.stopped || (!work.waits_for_disk && work.cpu * kIdlePart <= work.time);
}

bool is_frozen(const ObservedBuilder& observed) {
  if (observed.real.state != ContainerState::kRunning) return false;
  const auto longest = observed.answered_before ? kLongestSilence : kLongestStart;
  return does_nothing(observed) ||
         (observed.unresponsive.questions >= kFrozenQuestions && observed.unresponsive.lasts >= longest);
}

RealSteps heal_real(const DesiredBuilder& desired, const ObservedBuilder& observed, const BuilderMemory& memory,
                    Now now) {
  RealSteps result;
  const auto name = container_of(desired.name);
  if (observed.real.state == ContainerState::kMissing && !desired.awaits.empty()) {
    result.waits = true;
    result.needs_image = true;  // meanwhile
  } else if (observed.real.state == ContainerState::kMissing) {
    const bool lost = memory.was_warm;
    add(result, BuilderAction::kCreate, lost ? "removed" : "missing",
        lost ? format("the container {} was removed: it is created on its volume", name)
             : format("there is no container {}: it is created", name));
  } else if (!observed.real.ours) {
    heal_foreign(result, name, desired, observed);
  } else if (!end_loop(result, desired, observed, memory, now)) {
    heal_ours(result, name, desired, observed);
  }
  for (auto& step : result.steps) step.container = name;
  return result;
}

}  // namespace buildwarden::policy
