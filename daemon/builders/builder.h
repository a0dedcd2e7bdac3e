// What is remembered of one builder between two turns. Plain; owned and changed by the reconciler alone.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/async_event.h"
#include "common/loop_timer.h"
#include "common/result.h"
#include "config/settings.h"
#include "daemon/builders/activity.h"
#include "daemon/builders/names.h"
#include "daemon/builders/probe.h"
#include "daemon/policy/builder.h"

namespace buildwarden::builders {

// Whether the container that runs now has answered. A busy disk may silence a healthy buildkitd for seconds, so one
// that answered counts as silent only after several questions in a row without an answer.
struct Liveness {
  std::string container_id;
  bool answered = false;
  int silent = 0;  // questions without an answer, in a row
  BootTime silent_since;
  int idle = 0;  // the latest of them, in a row, during which whoever listens on its socket did next to nothing
  BootTime idle_since;
  std::optional<Activity> activity;  // when it was looked at last
  std::optional<BootTime> asked;     // when the last question began
};

// From the loss of a builder or a front that was there until it is whole again; only one that we do something about.
struct Outage {
  BootTime since;
  BootTime acted;    // when the first step was begun
  std::string rule;  // of the first step that was taken
  std::string reason;
  std::vector<std::string> done{};  // the steps that were taken: "start buildwarden_s3"
};

struct Heals {
  std::uint64_t count = 0;
  std::map<std::string, std::uint64_t> by_rule;
  std::optional<WallTime> last_at;
  std::string last_reason;
};

// Somebody asked for its container to be made anew; answered by the turn that can tell.
struct RecreateRequest {
  RecreateRequest(policy::Recreation as, bool only_say) : how(as), dry_run(only_say) {}

  policy::Recreation how;
  bool dry_run;
  std::optional<Result<std::vector<std::string>>> answer;  // the steps that were taken, or would be
  AsyncEvent answered;
};

// Steps in a row that came too late, until that counts as a failure.
inline constexpr int kMostOvertaken = 20;

struct Builder {
  Builder(BuilderSettings from, const boost::asio::any_io_executor& executor)
      : settings(std::move(from)),
        container(real_container(settings.name)),
        fronts(fronts_of(settings)),
        probe(executor) {}

  BuilderSettings settings;             // only changed between two turns
  std::optional<BuilderSettings> next;  // taken at the next turn
  std::string container;
  std::vector<std::string> fronts;

  policy::BuilderMemory memory;
  Liveness liveness;
  ports::SensorRecord questions;
  std::set<std::string> stale_mounts;  // ids of its containers whose socket folder is not the host's
  std::optional<int> running_builds;   // when it was asked last; nothing = not known
  bool volume_known = false;           // `memory` has the volume that it is on
  std::optional<std::string> image_id;

  std::shared_ptr<RecreateRequest> asked;  // while nobody could answer yet

  policy::BuilderState state = policy::BuilderState::kDown;
  policy::BuilderState told = policy::BuilderState::kDown;  // the latest state that the journal has
  bool ever_warm = false;
  std::string reason = "not looked at yet";
  std::optional<BootTime> lost_at;  // the event that ended its being warm
  std::optional<Outage> outage;
  std::string announced;  // in a dry run: the plan that was shown last
  int overtaken = 0;      // turns in a row whose steps came too late
  bool woken = false;     // something happened since the turn began
  Heals heals;

  Probe probe;
  LoopTimer timer;  // of its loop, which also ends when it is configured no more
};

}  // namespace buildwarden::builders
