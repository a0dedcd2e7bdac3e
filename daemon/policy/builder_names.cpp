// What builders, their containers, volumes and steps are called.
#include "common/format.h"
#include "daemon/policy/builder.h"

namespace buildwarden::policy {

std::string container_of(std::string_view builder) { return format("buildwarden_{}", builder); }

std::string volume_of(std::string_view builder, int number) {
  return number <= 1 ? container_of(builder) : format("{}_{}", container_of(builder), number);
}

std::string_view to_string(BuilderState state) {
  switch (state) {
    case BuilderState::kWarm: return "warm";
    case BuilderState::kStarting: return "starting";
    case BuilderState::kHealing: return "healing";
    case BuilderState::kDown: return "down";
    case BuilderState::kOff: return "off";
  }
  return "down";
}

std::string_view to_string(BuilderAction action) {
  switch (action) {
    case BuilderAction::kProvideImage: return "provide_image";
    case BuilderAction::kCreate: return "create";
    case BuilderAction::kStart: return "start";
    case BuilderAction::kUnpause: return "unpause";
    case BuilderAction::kRestart: return "restart";
    case BuilderAction::kRemove: return "remove";
    case BuilderAction::kCreateFront: return "create_front";
    case BuilderAction::kStartFront: return "start_front";
    case BuilderAction::kUnpauseFront: return "unpause_front";
    case BuilderAction::kRemoveFront: return "remove_front";
  }
  return "unknown";
}

}  // namespace buildwarden::policy
