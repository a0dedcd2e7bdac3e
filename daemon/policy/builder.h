// What has to be done so that a builder is warm: desired, observed, memory, now → steps. Pure.
#pragma once

#include <chrono>
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

// The name of a builder's volume with that number, from 1 on; the first one is called as the container.
std::string volume_of(std::string_view builder, int number);

// A container as the engine shows it.
struct ObservedContainer {
  ContainerState state = ContainerState::kMissing;
  std::string id;
  bool ours = false;        // carries our label
  std::string spec_digest;  // our label: what it was created from
  std::string image_id;
  int volume = 0;             // our label: the number of the volume that it is on; 0: not known
  int pid = 0;                // of its first process; 0: it does not run, or not known
  int restarts = 0;           // by the engine on its own, since it was last started by anybody else
  int exit_code = 0;          // of its last end
  std::string ended{};        // when that was, in the engine's words; "" = never, or not known
  bool other_folder = false;  // its socket folder is not the host's (any more); unknown counts as the same
};

enum class BuilderState : std::uint8_t { kWarm, kStarting, kHealing, kDown, kOff };
std::string_view to_string(BuilderState state);

// Whether somebody asked for the container to be made anew: once no build runs, or at the cost of those that do.
enum class Recreation : std::uint8_t { kNone, kIdle, kForced };

struct DesiredBuilder {
  std::string name;
  std::string spec_digest;          // of everything that creation fixes, image and volume included
  std::vector<std::string> fronts;  // container names: "buildx_buildkit_s30", one an alias
  std::string front_digest;
  bool adopt_foreign = false;
  Recreation recreate = Recreation::kNone;
  Duration engine_settles{2'000};  // how long an engine must be known before anything is done on it
  std::string awaits{};  // why its container is not to be created yet: its volume is being filled; "": it may be
};

// What the process that listens on a builder's socket did while a question was open.
struct Work {
  Duration time{0};  // that it was open
  std::chrono::nanoseconds cpu{0};
  bool stopped = false;         // by a signal or a tracer, at its end
  bool waits_for_disk = false;  // at its end
};

// Stopped, or less than a hundredth of a CPU, waiting for no disk: a healthy buildkitd that nobody uses takes 3-4 ms in
// 10 s, and one that hangs need not take less.
bool does_next_to_nothing(const Work& work);

// What a builder that does not answer is doing. A hang is a row of questions during which it did next to nothing: a
// busy builder uses the CPU, or waits for a disk; where that cannot be told it counts as busy.
struct Unresponsive {
  int questions = 0;       // without an answer, in a row
  Duration lasts{0};       // since the first of them was asked
  int idle_questions = 0;  // the latest of them, in a row, during which it did next to nothing
  Duration idle{0};        // since the first of those was asked
};

struct ObservedBuilder {
  bool engine_up = false;
  std::string engine{};  // which one: its id and data root; "" = not told
  bool image_present = false;
  ObservedContainer real;
  std::map<std::string, ObservedContainer> fronts;  // by container name; an absent entry is a missing container
  bool answers = false;                             // its socket answered since the container's last start
  bool answered_before = false;                     // it did, but may be silent now
  Unresponsive unresponsive;
  int running_builds = 0;      // connections by which somebody may build; unknown counts as 1
  bool disk_has_room = false;  // for another volume; unknown counts as none
};

// Ends of the container on its own, without its having answered in between; which volume it is on because of them.
struct CrashMemory {
  std::string container;  // the one that the next two are of
  int restarts = 0;
  std::string ended;
  bool answered = false;  // since its last start: its next end is none of a loop
  int count = 0;
  std::optional<BootTime> first;
  int volume = 1;     // in use
  int newest = 1;     // ever used
  int left = 0;       // the volume that was left for the one in use, which has not answered yet; 0: none
  bool vain = false;  // a fresh volume did not help either: another one would not
};

struct BuilderMemory {
  bool was_warm = false;               // at least once
  int failures = 0;                    // in a row, of healing steps
  std::optional<BootTime> not_before;  // back-off after a failure
  std::optional<BootTime> lost_at;     // when the loss was seen; nothing while it is warm
  // Paces rounds of steps that succeed and do not last: 8 at once, then one in 15 s.
  std::optional<BootTime> paid_until;
  std::string engine;     // the one that was seen last
  BootTime engine_since;  // and since when
  CrashMemory crash;
};

enum class BuilderAction : std::uint8_t {
  kProvideImage,  // load or pull
  kCreate,        // on its volume, and start
  kStart,
  kUnpause,
  kRestart,      // at once, without asking it to end
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
  std::string rule;       // "exited", "paused", "removed", "image_missing", "spec_changed", "frozen",
                          // "folder_changed", "crash_loop", "asked", "front_gone", …
};

struct BuilderPlan {
  std::vector<BuilderStep> steps;  // in order; carry out all, stop at the first failure
  BuilderState state = BuilderState::kDown;
  std::string reason;  // why it is in this state
  std::string rule;    // "warm", "starting", "healing", "silent", "backing_off", "foreign", "engine_down", "engine_new"
  BuilderMemory memory;
  std::optional<CrashMemory> crashes_then;  // a change of volume that the steps make: to be remembered with them
  std::string not_recreated;  // why the recreation that was asked for is not among the steps; "" when it is, or was not
  Duration again{30'000};     // when to look again at the latest, without an event
};

BuilderPlan reconcile(const DesiredBuilder& desired, const ObservedBuilder& observed, BuilderMemory memory, Now now);

// The memory after the steps were carried out (`failed` = one of them failed): counts failures and sets the back-off,
// 1 s doubling to 60 s. Not to be called for a plan without steps.
BuilderMemory after_steps(BuilderMemory memory, bool failed, Now now);

}  // namespace buildwarden::policy
