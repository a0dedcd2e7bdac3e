// The sentences, for the journal and the requester, about what a reclaim does.
#pragma once

#include <string>
#include <vector>

#include "daemon/policy/freed_space.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"
#include "daemon/reclaim/reclaim_goal.h"

namespace buildwarden::disk {

// Why a reclaim began, before the first thing that it takes: by the rule "asked" (a job, a person), "forecast" or
// "low". `seen`: as it was measured first.
ports::Event began_event(const ports::SpaceRequest& request, const GoalStatus& at,
                         const std::vector<ports::FilesystemSnapshot>& seen);

// One deletion, or in a dry run what would be one.
struct StepFacts {
  policy::RungTurn turn;
  policy::Candidate candidate;
  Bytes reported = 0;
  policy::FreedSpace freed;
  Duration age{0};
  GoalStatus after;
  bool dry_run = false;
  std::string on_behalf_of;
};

ports::SpaceStep step_of(const StepFacts& facts);
ports::KeptThing kept_thing(policy::RungId rung, const policy::Skipped& skipped, std::string mount);
// Where a candidate lies: on the one that it names, else on the only one that the rung frees; "" where there are more.
std::string mount_of(const std::vector<ports::FilesystemSnapshot>& filesystems, const policy::Skipped& skipped,
                     const Frees& frees);
// `step`: step_of() the same.
ports::Event step_event(const StepFacts& facts, const ports::SpaceStep& step);
// A candidate that was left alone after all.
ports::Event dropped_event(const policy::RungTurn& turn, const policy::Candidate& candidate, const std::string& why);
// Whether somebody who is not root asked for it: what such a one fails at is told on demand (ports::is_on_demand()),
// what is deleted for them like everything that is deleted.
bool is_on_demand(const ports::SpaceRequest& request);
// A rung deleted `deletions` things of `reported` bytes, and the disk has no more free than before.
ports::Event nothing_freed_event(const policy::RungTurn& turn, std::size_t deletions, Bytes reported);
// "reclaim.done" of a collection, which had no goal to reach.
ports::Event collected_event(const ports::SpaceRequest& request, const ports::SpaceResult& result,
                             const GoalStatus& end);
// "reclaim.done" or "reclaim.short".
ports::Event end_event(const ports::SpaceRequest& request, const ports::SpaceResult& result, const GoalStatus& end);

}  // namespace buildwarden::disk
