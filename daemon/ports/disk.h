// What the rooms of the disk do for others, and what others do for them.
#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/policy/admission.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/policy/freed_space.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/filesystems.h"

namespace buildwarden::ports {

// Told line by line how a long operation goes; called on the loop.
using Progress = std::function<void(const std::string& line)>;

struct SpaceRequest {
  Bytes free = 0;            // wanted on every gating filesystem; 0: the target mark of those that can be freed
  Duration wait{0};          // at most; 0: only what is there already counts
  std::string on_behalf_of;  // "job 12", for the journal
  bool dry_run = false;
  std::string for_job{};   // the id of the job that asks for it, of those that are being admitted; "" = no job does
  bool on_request = true;  // of a person or a job, who wait; the background spares the filesystems that are well
  bool quiet = false;      // of a dry run: nothing of it is told to the journal
  bool list_kept = false;  // of a dry run: what stays is in its result as well
};

struct SpaceStep {
  std::string rung;
  std::string what;            // the candidate's name
  Bytes reported = 0;          // by the engine
  policy::FreedSpace freed{};  // by statvfs; 0 in a dry run
  std::string reason;
  std::string rule;
  bool is_unsized = false;                   // nobody knows how much it is
  WallTime last_used{};                      // as far as it was watched
  std::optional<policy::Valuation> value{};  // of what is ranked by value
  std::string mount{};                       // of the filesystem that it lies on, or of the shortest of several
  Bytes shared = 0;                          // beside what is reported: what others have as well, so that it stays
};

// What a plan leaves alone, and why.
struct KeptThing {
  std::string rung;
  std::string what;
  std::string mount;  // "" where several filesystems may have it
  Bytes size = 0;     // as the engine reports it
  WallTime last_used{};
  std::string reason;  // "in use by container web"
  std::string rule;    // "in_use", "protected", "keep", "grace", "age", "running_job", "shared"
};
inline constexpr std::size_t kMostKeptOfRung = 50;  // of each rung: its largest

// What the last step of the ladder would come to.
struct LastResortView {
  std::string reason;  // one sentence
  std::string rule;
};

struct SpaceResult {
  bool reached = false;
  Bytes free_before = 0;         // of the filesystem that is the shortest afterwards
  Bytes free_after = 0;          // of the same one
  std::vector<SpaceStep> steps;  // done, or in a dry run: would be done
  std::vector<KeptThing> kept;   // when it was asked for; of each rung that was climbed at most kMostKeptOfRung
  std::size_t kept_left_off = 0;
  bool hindered = false;  // a rung failed, or another reclaim was in an estimate's way: another try may do more soon
  // Of a target that was not reached: why none of the engine's images could go, though `docker image prune` may delete
  // some; "" where that was not in the way.
  std::string images_failed{};
  // Of a dry run after which a filesystem that gates jobs would still be critical.
  std::optional<LastResortView> last_resort;
  std::string reason;
};

class Space {
 public:
  virtual ~Space() = default;
  // Climbs the ladder until `free` is there, all that is allowed was done, or `wait` is over. One reclaim at a time:
  // further callers wait for it and are then served.
  virtual Async<SpaceResult> ensure(SpaceRequest request, Progress progress) = 0;
  // What ensure() could reach, by the sizes of what may go: a dry run of it that nobody is told of. Not known when
  // nobody could look within `wait`, when a rung failed, or when something may go whose size nobody knows.
  boost::asio::awaitable<policy::SpaceEstimate> estimate(SpaceRequest request) {
    request.dry_run = true;
    request.quiet = true;
    Progress nobody = [](const std::string&) {};
    const auto plan = co_await ensure(std::move(request), std::move(nobody));
    policy::SpaceEstimate estimate;
    if (!plan) co_return estimate;
    estimate.known = !plan->hindered && std::none_of(plan->steps.begin(), plan->steps.end(),
                                                     [](const SpaceStep& step) { return step.is_unsized; });
    estimate.reached = plan->reached;
    estimate.free_after = plan->free_after;
    co_return estimate;
  }
};

struct EvictionResult {
  std::string dropped;  // why it was left alone; "" = deleted
  Bytes reported = 0;
  Bytes spared = 0;           // of the candidate's size: what was left alone after all
  std::string spared_name{};  // what that is, and why it was left alone, for the journal; "" = nothing was
  std::string spared_why{};
};

// Deletes things of one kind. Several may have one rung's id: they are asked in the order in which they are given.
class Evictor {
 public:
  virtual ~Evictor() = default;
  [[nodiscard]] virtual policy::RungId id() const = 0;
  // Whether what it deletes lies on that filesystem: it is run only for one that it frees, and what it freed is
  // measured there. From memory, without waiting. By default: where the engine keeps its images and caches.
  [[nodiscard]] virtual bool frees(const FilesystemSnapshot& filesystem) const {
    return filesystem.keeps.contains(Kept::kImages);
  }
  // What could go, in-use and protected ones marked; never deletes. Where a rung frees several filesystems, each
  // candidate names the device that it lies on.
  virtual Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) = 0;
  // What the last list() lacks, though the rest of it is there: the rung whose it is, and why.
  struct Lack {
    policy::RungId rung;
    Error error;
  };
  [[nodiscard]] virtual std::optional<Lack> lacking() const { return std::nullopt; }
  // Deletes one candidate of the last list(), after asking once more whether it is in use and unchanged. A dropped
  // candidate (used since, in use, gone, other engine) is a result with `dropped` set.
  virtual Async<EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) = 0;
  // Nothing of the last list() is taken any more: what it holds open is closed.
  virtual void forget_list() {}
  // Of the rung that deletes nothing: what it would do, were it reached for that filesystem now. Changes nothing.
  [[nodiscard]] virtual std::optional<LastResortView> last_resort(const FilesystemSnapshot&) const {
    return std::nullopt;
  }
};

// What jobs and builders hold now; answers without waiting.
struct InUseSet {
  std::set<std::string> image_references;  // builder and binfmt images: never deleted
  std::set<std::string> container_names;   // builders and fronts
  std::optional<WallTime> oldest_job_start;
};

class InUse {
 public:
  virtual ~InUse() = default;
  [[nodiscard]] virtual InUseSet now() const = 0;
};

// Rows of the ledger as the store keeps them.
struct LedgerRow {
  std::string id;
  WallTime last_used;
  Duration observed{0};
  std::string why;
};

class LedgerStore {
 public:
  virtual ~LedgerStore() = default;
  // All rows of one engine (`scope` = id + root dir). An empty store is empty, not an error.
  virtual Async<std::vector<LedgerRow>> load(std::string scope) = 0;
  // Inserts or replaces; batched, never waited for by a decision. In the order given: whatever stops it, those that
  // are kept are the first ones.
  virtual Async<void> save(std::string scope, std::vector<LedgerRow> rows) = 0;
  virtual Async<void> forget(std::string scope, std::vector<std::string> ids) = 0;
};

// Upper bounds, in seconds, of the buckets in RungStats; one more bucket holds what took longer.
inline constexpr std::array<double, 8> kRungSecondsBounds = {0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120};

// What one rung did since the start; a run is one turn of the ladder on it. Dry runs are not counted.
struct RungStats {
  std::string rung;
  std::map<std::string, std::uint64_t> runs;  // by result: "freed", "nothing", "failed", "unknown"
  Bytes freed = 0;                            // by statvfs
  std::array<std::uint64_t, kRungSecondsBounds.size() + 1> seconds_buckets{};  // of the runs, not cumulated
  double seconds_sum = 0;
};

// A folder in which nothing is deleted, though the settings ask for it, since somebody else decides what it is.
struct RefusedRoot {
  std::string path;     // as configured
  std::string setting;  // "paths.builds", "paths.git_mirrors", "disk.cache_dirs"
  std::string reason;   // why, and the cure
};

// Where the engine has its images.
struct ImageStoreView {
  std::vector<std::string> folders;  // of containerd's image store; empty: in the data root, or not known
  std::string unknown;               // why that is not known, "" when it is: then nothing of it is deleted
};

struct DiskView {
  std::vector<FilesystemSnapshot> filesystems;
  ImageStoreView image_store;
  std::vector<RungStats> rungs;
  bool reclaiming = false;
  bool purges_checkouts = false;  // on_full.purge_builds
  std::vector<RefusedRoot> refused_roots;
  std::string ledger_error;  // why the last save of the ledger failed, "" when it did not
};

class DiskViews {
 public:
  virtual ~DiskViews() = default;
  [[nodiscard]] virtual DiskView disk_view() const = 0;
  // The same with the figures of now, for who promises space: those of memory are seconds old on a calm disk. The
  // levels are still those of the disk monitor's last turn. Waits a moment at most: what does not answer is as in
  // memory.
  virtual boost::asio::awaitable<DiskView> measured_disk_view() { co_return disk_view(); }
};

}  // namespace buildwarden::ports
