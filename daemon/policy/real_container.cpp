#include "daemon/policy/real_container.h"

#include "common/format.h"

namespace buildwarden::policy {
namespace {

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

void heal_foreign(RealSteps& result, const std::string& name, const DesiredBuilder& desired, ContainerState state) {
  if (!desired.adopt_foreign) {
    result.refused = true;
    result.note = format("a container {} is there that is not ours, and on_foreign is refuse", name);
  } else if (state == ContainerState::kDead) {
    result.refused = true;
    result.note = format("the adopted container {} is dead, and what is not ours is never removed", name);
  } else {
    revive(result, name, state);
  }
}

bool carries_builds(ContainerState state) {
  return state == ContainerState::kRunning || state == ContainerState::kPaused;
}

void heal_ours(RealSteps& result, const std::string& name, const DesiredBuilder& desired,
               const ObservedBuilder& observed) {
  const auto state = observed.real.state;
  if (state == ContainerState::kDead)
    return recreate(result, "dead", format("the container {} is dead: it is made anew on its volume", name));
  if (observed.real.spec_digest == desired.spec_digest) return revive(result, name, state);
  if (carries_builds(state) && observed.running_builds > 0) {
    result.note = format("a changed image or configuration is applied to {} once no build runs ({} running)", name,
                         observed.running_builds);
    return revive(result, name, state);
  }
  recreate(result, "spec_changed",
           format("the image or configuration of {} has changed: it is made anew on its volume", name));
}

}  // namespace

RealSteps heal_real(const DesiredBuilder& desired, const ObservedBuilder& observed, bool lost) {
  RealSteps result;
  const auto name = container_of(desired.name);
  if (observed.real.state == ContainerState::kMissing) {
    add(result, BuilderAction::kCreate, lost ? "removed" : "missing",
        lost ? format("the container {} was removed: it is created on its volume", name)
             : format("there is no container {}: it is created", name));
  } else if (!observed.real.ours) {
    heal_foreign(result, name, desired, observed.real.state);
  } else {
    heal_ours(result, name, desired, observed);
  }
  for (auto& step : result.steps) step.container = name;
  return result;
}

}  // namespace buildwarden::policy
