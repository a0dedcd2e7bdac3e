#include "daemon/policy/fronts.h"

#include "common/format.h"

namespace buildwarden::policy {
namespace {

class FrontHealer {
 public:
  FrontHealer(const std::string& digest, int running_builds) : digest_(digest), running_builds_(running_builds) {}

  void heal(const std::string& name, const ObservedContainer& front) {
    if (front.state == ContainerState::kMissing) return create(name, "front_gone", "is missing: it is created");
    if (!front.ours) {
      result_.notes.push_back(format("the container {} was made by somebody else and is left alone", name));
      return;
    }
    if (front.state == ContainerState::kDead) return recreate(name, "front_dead", "is dead: it is made anew");
    if (front.spec_digest != digest_) {
      return change(name, front.state, "front_changed", "was made from another configuration: it is made anew");
    }
    if (front.other_folder) {
      return change(name, front.state, "front_folder", "has a socket folder that is not the host's: it is made anew");
    }
    switch (front.state) {
      case ContainerState::kCreated:
      case ContainerState::kExited:
        return add(BuilderAction::kStartFront, name, "front_exited", "is not running: it is started");
      case ContainerState::kPaused:
        return add(BuilderAction::kUnpauseFront, name, "front_paused", "is paused: it is unpaused");
      default: return;
    }
  }

  FrontSteps take() && { return std::move(result_); }

 private:
  void add(BuilderAction action, const std::string& name, std::string_view rule, std::string_view what) {
    result_.steps.push_back({action, name, format("the front {} {}", name, what), std::string(rule)});
  }
  void create(const std::string& name, std::string_view rule, std::string_view what) {
    result_.needs_image = true;
    add(BuilderAction::kCreateFront, name, rule, what);
  }
  void recreate(const std::string& name, std::string_view rule, std::string_view what) {
    add(BuilderAction::kRemoveFront, name, rule, what);
    create(name, rule, what);
  }
  void change(const std::string& name, ContainerState state, std::string_view rule, std::string_view what) {
    const bool carries = state == ContainerState::kRunning || state == ContainerState::kPaused;
    if (carries && running_builds_ > 0) {
      result_.notes.push_back(
          format("the front {} is to change once no build runs ({} connections)", name, running_builds_));
      if (state == ContainerState::kPaused)
        add(BuilderAction::kUnpauseFront, name, "front_paused", "is paused: it is unpaused");
      return;
    }
    recreate(name, rule, what);
  }

  const std::string& digest_;
  int running_builds_;
  FrontSteps result_;
};

}  // namespace

FrontSteps heal_fronts(const DesiredBuilder& desired, const ObservedBuilder& observed) {
  FrontHealer healer(desired.front_digest, observed.running_builds);
  for (const auto& name : desired.fronts) {
    const auto found = observed.fronts.find(name);
    healer.heal(name, found == observed.fronts.end() ? ObservedContainer{} : found->second);
  }
  return std::move(healer).take();
}

}  // namespace buildwarden::policy
