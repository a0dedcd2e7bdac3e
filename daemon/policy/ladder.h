// Which rungs a filesystem in need climbs, in which order, with which age, and when to stop. Pure.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/policy/eviction_order.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::policy {

struct LadderRequest {
  Level level = Level::kOk;
  Duration keep_used_within{0};
  Duration grace{0};
  bool builder_prune = false;  // false: the engine's own build cache stays out until critical
  bool purge_builds = false;
  bool purge_mirrors = false;
  bool terminate_instance = false;
  bool only_gentle = false;  // the operator's file is not there yet: rungs 1-3 only
  bool by_value = false;     // images and build caches go in one order: rungs 4, 5 and 6 are kUnused
};

// Dry run: the ids of what the climb would have deleted by now, in their order and for looking one up. A rung lists
// what it would find then.
struct DryRunState {
  std::vector<std::string> order;
  std::set<std::string> ids;
};

// Dry run: what was asked in it once. Nothing that it pretends changes an answer, so later turns do not ask again.
struct DryRunCache {
  std::map<std::string, std::shared_ptr<const CacheList>> caches;       // by the source's key
  std::map<std::string, std::shared_ptr<const CacheStep>> cache_steps;  // by the id of the candidate that stands for it
  std::shared_ptr<const std::vector<ImageRecord>> images;
};

struct RungTurn {
  RungId rung;
  int pass = 1;  // 2: at critical, down to grace
  Duration age{0};
  bool engine_cache = true;  // rung 4 and 6: whether the engine's own cache takes part
  bool terminate = false;    // rung 9: drain and terminate as well; without it only new jobs are refused
  // Grows while the climb goes on, so whoever works beside it copies what concerns it.
  std::shared_ptr<const DryRunState> pretended{};
  std::string for_job{};  // the id of the job that asks for room before it may start; "" = no job does
  bool dry_run = false;   // the climb only says what it would do
  // Of a dry run, for what takes long to list; nothing: it is listed anew.
  std::shared_ptr<DryRunCache> found{};
  // Of build caches: what is over its share may go as well, when it was not used within the grace.
  bool down_to_share = false;
  bool on_demand = false;  // somebody who is not root asked, and may ask again as often as he likes
};

// Whether a dry run takes it for deleted.
inline bool is_pretended(const std::shared_ptr<const DryRunState>& pretended, const std::string& id) {
  return pretended && pretended->ids.contains(id);
}

// The whole climb for this level, to be walked until the goal is met. At ok as at low: whoever asks has a reason (a
// job, a person, a forecast). Empty at unknown.
std::vector<RungTurn> climb(const LadderRequest& request);

// What a reclaim wants of the filesystem.
struct Goal {
  Bytes free = 0;
  std::int64_t free_inodes = 0;  // 0: none wanted
};
bool reached(const Goal& goal, const Reading& reading);

}  // namespace buildwarden::policy
