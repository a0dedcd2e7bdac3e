// What a request for space means for each filesystem. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/policy/freed_space.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// Which filesystems deleting can free: by the whole ladder, by one rung, or by one candidate.
using Frees = std::function<bool(const ports::FilesystemSnapshot&)>;

// What one filesystem shall have; nothing when the request does not concern it. With `free` in the request: that much
// on every gating filesystem, and inodes above critical. Without: the target marks of those that a reclaim can free.
std::optional<policy::Goal> goal_for(const ports::FilesystemSnapshot& filesystem, const ports::SpaceRequest& request,
                                     bool freeable);

// Where a request stands.
struct GoalStatus {
  bool reached = false;               // on every filesystem that it concerns
  bool can_help = false;              // a readable one that can be freed is short: climbing makes sense
  policy::Level level{};              // the worst of those, at least low: whoever asks has a need
  Bytes free = 0;                     // of the shortest one, what it has
  Bytes wanted = 0;                   // and what it should have
  std::int64_t free_inodes = 0;       // the same in inodes
  std::int64_t wanted_inodes = 0;     // 0: none
  std::string mount;                  // and where it is
  bool endless = false;               // a collection: there is no goal, it goes on as long as something may go
  std::vector<std::string> unread;    // mounts that could not be read: never reached, never climbed for
  std::vector<std::string> no_means;  // mounts that are short, and nothing can free them
};
GoalStatus goal_status(const std::vector<ports::FilesystemSnapshot>& filesystems, const ports::SpaceRequest& request,
                       const Frees& frees);
// The same, but only on the filesystems that `frees` names.
GoalStatus goal_status_there(const std::vector<ports::FilesystemSnapshot>& filesystems,
                             const ports::SpaceRequest& request, const Frees& frees);

// Of a collection on the filesystems that `frees` names: never reached, and of use where the level is known.
GoalStatus goal_status_endless(const std::vector<ports::FilesystemSnapshot>& filesystems, const Frees& frees);

// "9.00 GiB free of 25.00 GiB wanted on /docker"; in inodes where only those are short; of a
// collection "9.00 GiB free on /docker".
std::string figures(const GoalStatus& status);

// Whether others would fill the shortest filesystem within ten seconds: by what they took between two looks at it, with
// no deletion in between.
bool fills_at_once(const GoalStatus& before, const GoalStatus& now, Duration between);

// What is free on each of those filesystems: the measure of what a deletion gives back. Root's reserve counts, or what
// is deleted while that is in use would not show; the ballast counts, or giving it back would look like a deletion. One
// that could not be read is not among them.
std::vector<policy::FreeReading> free_on(const std::vector<ports::FilesystemSnapshot>& filesystems, const Frees& frees);

}  // namespace buildwarden::disk
