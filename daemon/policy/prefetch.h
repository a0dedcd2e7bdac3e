// Which image is fetched next, or what it waits for. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "daemon/policy/builder.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::policy {

enum class PrefetchState : std::uint8_t { kWaiting, kFetching, kDone, kFailed };
// "waiting", "fetching", "done", "failed".
std::string_view to_string(PrefetchState state);

// One image for one place; each is fetched once in the life of a daemon.
struct PrefetchItem {
  std::string image;
  std::string builder;  // "": the engine
  PrefetchState state = PrefetchState::kWaiting;
  int failures = 0;                    // in a row
  std::optional<BootTime> not_before;  // back-off after a failure
  std::string reason;                  // why it is in this state, one sentence
  std::optional<WallTime> done_at;
  bool from_seed = false;  // a builder's seed names it, not the configuration
};

// The filesystems that an image lands on.
struct PrefetchDisk {
  std::string mount;
  Level level = Level::kUnknown;
  bool wants_reclaim = false;  // below low, on the way back to the target, or it will be by the forecast
  std::optional<Bytes> free;   // of the last reading
  Bytes low = 0;
  std::string reason;  // of the level: what is short, bytes or inodes, with its numbers
};

struct PrefetchBuilder {
  std::string name;
  BuilderState state = BuilderState::kDown;
};

struct PrefetchFacts {
  bool engine_up = false;
  std::vector<PrefetchDisk> disks;  // none: it is not known where images land
  std::vector<PrefetchBuilder> builders;
  Duration since_start{0};                 // of the daemon
  std::vector<std::string> seed_images{};  // that builders' seeds name, worth most first: for the engine
  bool is_used = false;                    // a job holds a builder, or builds on one
};

struct PrefetchPlan {
  std::vector<PrefetchItem> items;  // as configured: those of before keep their state, new ones wait
  std::optional<std::size_t> next;  // of `items`; nothing: wait
  std::string reason;               // one sentence
  std::string rule;                 // "fetch", "nothing", "all_done", "engine_down", "disk", "builders", "jobs",
                                    // "backing_off"
  Duration again{0};
};

// The engine comes first, then each builder, in the order of the configuration; what failed lets the others go before.
// What seeds name comes last, while no job is at work: nobody asked for it here.
// Only while every disk is ok and wants no reclaim: an unknown one, too, is waited for. Builders are warmed first: the
// engine's pulls wait for them two minutes at most, a builder's own images as long as it takes.
PrefetchPlan plan_prefetch(const std::vector<std::string>& images, const std::vector<PrefetchItem>& known,
                           const PrefetchFacts& facts, Now now);

// The item after a fetch that failed, or not. `jitter` is added to the back-off.
PrefetchItem fetch_failed(PrefetchItem item, std::string failure, Duration jitter, Now now);
PrefetchItem fetched(PrefetchItem item, std::string reason, Now now);

}  // namespace buildwarden::policy
