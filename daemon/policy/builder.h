// What has to be done so that a builder is warm: desired, observed, memory, now → steps. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"

namespace buildwarden::policy {

enum class ContainerState : std::uint8_t { kMissing, kCreated, kRunning, kPaused, kRestarting, kExited, kDead };

// The name of a builder's real container; jobs' tools never use it.
std::string container_of(std::string_view builder);

// A container as the engine shows it.
struct ObservedContainer {
  ContainerState state = ContainerState::kMissing;
  std::string id;
  bool ours = false;        // carries our label
  std::string spec_digest;  // our label: what it was created from
  std::string image_id;
};

enum class BuilderState : std::uint8_t { kWarm, kStarting, kHealing, kDown, kOff };
std::string_view to_string(BuilderState state);

struct DesiredBuilder {
  std::string name;
  std::string spec_digest;          // of everything that creation fixes, image included
  std::vector<std::string> fronts;  // container names: "buildx_buildkit_s30", one an alias
  std::string front_digest;
  bool adopt_foreign = false;
};

struct ObservedBuilder {
  bool engine_up = false;
  bool image_present = false;
  ObservedContainer real;
  std::map<std::string, ObservedContainer> fronts;  // by container name; an absent entry is a missing container
  bool answers = false;                             // its socket answered since the container's last start
  int running_builds = 0;                           // leases with a connection count; unknown counts as 1
};

struct BuilderMemory {
  bool was_warm = false;               // at least once
  int failures = 0;                    // in a row, of healing steps
  std::optional<BootTime> not_before;  // back-off after a failure
  std::optional<BootTime> lost_at;     // when the loss was seen; nothing while it is warm
  // Paces rounds of steps that succeed and do not last: 8 at once, then one in 15 s.
  std::optional<BootTime> paid_until;
};

enum class BuilderAction : std::uint8_t {
  kProvideImage,  // load or pull
  kCreate,        // on its volume, and start
  kStart,
  kUnpause,
  kRemove,       // only ours; the volume stays
  kCreateFront,  // and start
  kStartFront,
  kUnpauseFront,
  kRemoveFront,  // only ours
};
std::string_view to_string(BuilderAction action);

struct BuilderStep {
  BuilderAction action;
  std::string container;  // its name
  std::string reason;     // one sentence
  std::string rule;       // "exited", "paused", "removed", "image_missing", "spec_changed", "front_gone", …
};

struct BuilderPlan {
  std::vector<BuilderStep> steps;  // in order; carry out all, stop at the first failure
  BuilderState state = BuilderState::kDown;
  std::string reason;  // why it is in this state
  std::string rule;    // "warm", "starting", "healing", "backing_off", "foreign", "engine_down"
  BuilderMemory memory;
  Duration again{30'000};  // when to look again at the latest, without an event
};

BuilderPlan reconcile(const DesiredBuilder& desired, const ObservedBuilder& observed, BuilderMemory memory, Now now);

// The memory after the steps were carried out (`failed` = one of them failed): counts failures and sets the back-off,
// 1 s doubling to 60 s. Not to be called for a plan without steps.
BuilderMemory after_steps(BuilderMemory memory, bool failed, Now now);

}  // namespace buildwarden::policy
