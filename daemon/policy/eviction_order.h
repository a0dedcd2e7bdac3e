// Something that could be deleted to make room, and which of several goes first. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/time.h"
#include "daemon/policy/layers.h"

namespace buildwarden::policy {

// The rungs of the ladder, cheapest to rebuild first; the numbers are those of daemon/guide/disk.md.
enum class RungId : std::uint8_t {
  kLeftovers = 1,
  kContainers = 2,
  kDanglingImages = 3,
  kBuildCache = 4,
  kImages = 5,
  kBuildCacheShare = 6,
  kOrphans = 7,
  kCheckouts = 8,
  kLastResort = 9,
  kAnonymousVolumes = 10,  // climbed after kContainers; of step 2 there
  kGitMirrors = 11,        // climbed after kCheckouts; of step 8 there
};
// "leftovers", "containers", "anonymous_volumes", "dangling_images", "build_cache", "images", "build_cache_share",
// "orphans", "checkouts", "git_mirrors", "last_resort".
std::string_view to_string(RungId rung);

// When something was used last, by both clocks.
struct LastUse {
  WallTime at;           // pulled, built, tagged, used, or at the latest first seen
  Duration observed{0};  // for how long we have watched it unused, on CLOCK_BOOTTIME; the clock may have stepped
  std::string by{};      // what tells, where there are several ways: ".git/index"
};

struct Candidate {
  std::string id;    // what the rung deletes by; never from a request
  std::string name;  // for people
  Bytes size = 0;    // as the engine reports it; once ranked, of an image what others do not share. Freed is measured
  LastUse last_use;
  std::vector<std::string> references;  // what `keep` matches: names of an image as the engine shows them, tags first
  // What `keep` calls it where it is no image: "container:web", "network:shop_default", "volume:<name>".
  std::string kept_as{};
  std::string in_use_by;     // "container web", "" when nobody uses it
  std::string protected_as;  // "builder image", "leased by job 12", "" when it is not
  bool thrown_away = false;  // by us, before: nobody can want it, so no age holds it back
  bool given_up = false;     // whoever used it last says that it is over: no age holds it back either
  bool last = false;         // goes after all others, however old
  std::string device;        // the filesystem that it lies on, "8:1"; "": any that its rung frees
  bool is_unsized = false;   // nobody knows its size, which then is 0
  LayerChain layers;         // of an image
  bool is_beside = false;    // no candidate of this rung, but what has no more than its layers stays with it
};

struct EvictionRules {
  Duration age{0};    // keep_used_within, or grace in the second pass
  Duration grace{0};  // younger is never deleted, whatever the age
  // As KeepPatterns takes them; those that begin with `container:`, `network:` or `volume:` are over the names of such.
  std::vector<std::string> keep;
  std::optional<WallTime> oldest_job_start;  // used since then: it may be that job's. Now less its boot age
};

struct Skipped {
  Candidate candidate;
  std::string why;   // one sentence with its numbers
  std::string rule;  // "in_use", "protected", "keep", "grace", "age", "running_job", "shared"
};

struct Ranking {
  std::vector<Candidate> order;  // least recently used first, and after them those that go last
  std::vector<Skipped> skipped;  // without those that are only beside
};

// How many were skipped by one rule, and their size as the engine reports it.
struct Spared {
  std::size_t count = 0;
  Bytes bytes = 0;
  friend bool operator==(const Spared&, const Spared&) = default;
};
// By the rule: "in_use", "protected", …
using SparedByRule = std::map<std::string, Spared>;
SparedByRule spared(const std::vector<Skipped>& skipped);
// "2 (1.00 GiB) in use, 1 (60.0 MiB) kept by disk.keep"; "" for nothing.
std::string to_text(const SparedByRule& spared);

// A plan, not a licence: each candidate is asked about again directly before it is deleted. Of images: one was used
// when the latest of those was that are built on its layers, goes after them, and stays while one of them does, since
// it would give nothing back.
Ranking rank(std::vector<Candidate> candidates, const EvictionRules& rules, Now now);

// The age that counts: the lesser of the wall clock's and the observed one; a stamp from the future is age 0.
Duration age_of(const LastUse& use, Now now);

// What the use of one thing and of another makes of something that both use.
LastUse latest(const LastUse& one, const LastUse& other);

// One image as the engine lists it.
struct ImageRecord {
  std::string id;                 // "sha256:…"
  std::vector<std::string> tags;  // "name:tag"
  Bytes size = 0;
  WallTime created;                  // build date: says nothing of its use
  std::vector<std::string> digests;  // "name@sha256:…", by which it was pulled or pushed, or is kept
  LayerChain layers;                 // empty: the engine does not tell, or there are none

  // Tags first: their removal may take digests of the same repository along.
  [[nodiscard]] std::vector<std::string> names() const;
  // For people: the first of them, or how its id begins.
  [[nodiscard]] std::string name() const;
  // Nothing leads to it but its id.
  [[nodiscard]] bool is_dangling() const { return tags.empty() && digests.empty(); }
};

// One record of a build cache, as the engine or a builder lists it.
struct CacheRecord {
  std::string id;
  Bytes size = 0;
  bool in_use = false;
  WallTime last_used;   // creation when it was never used
  bool shared = false;  // also in an image: no part of the cache's own size, and a prune frees nothing of it
  std::vector<std::string> parents{};  // ids of those that it is built on; one that is not listed counts for nothing
};

// A record in its tree. BuildKit never deletes one that has children, and a cached build touches the leaf alone: so a
// record was used when any descendant was, and goes only after all of them.
struct CacheEntry {
  const CacheRecord* record = nullptr;  // lives elsewhere
  WallTime used;                        // the last use of it or of any descendant
  std::size_t unit =
      0;              // the same for those that go together: a record, and what it is built on and was last used by it
  bool held = false;  // it or a descendant is in use or shared, or its descendants form a ring: it cannot go
};

// Records of a cache, or what is left of them: least recently used first, a descendant before what it is built on, and
// each unit in one piece.
using CacheOrder = std::vector<CacheEntry>;

// A cache's records, put in order once. Stays where it is, since the order points into it.
class CacheList {
 public:
  explicit CacheList(std::vector<CacheRecord> records);
  CacheList(const CacheList&) = delete;
  CacheList& operator=(const CacheList&) = delete;
  [[nodiscard]] const CacheOrder& order() const { return order_; }

 private:
  std::vector<CacheRecord> records_;
  CacheOrder order_;
};

// A prune of a cache by id.
struct CacheStep {
  std::vector<std::string> ids;  // children before their parents
  Bytes frees = 0;               // by the records' sizes
  WallTime newest;               // the last use of the youngest record that it deletes, or of its descendants
  Duration unused_for{0};  // the age to give to the prune: spares what is too young or used since the oldest job start
};

// How far a cache is pruned, and in which steps.
struct CacheBounds {
  Bytes chunk = 0;  // about so much a step; 0 and below: a unit a step
  Bytes floor = 0;  // nothing goes once at most so much is left: what the cache may hold without being asked
};

// Prune steps of about `chunk` bytes each, least recently used first, over the records unused for `age` and not held.
// What goes together is in one step, but where the floor is met within it. A prune by bytes would not do: BuildKit
// ranks by last use and by the number of uses. Empty also when the oldest job seems to start in the future: then
// nothing tells what it used.
std::vector<CacheStep> cache_steps(const CacheOrder& records, const CacheBounds& bounds, const EvictionRules& rules,
                                   Now now);

// What is left without those. For plans that build on steps which were only pretended.
CacheOrder without(const CacheOrder& records, const std::set<std::string>& ids);

// Those of `ids` that the cache still has.
std::set<std::string> those_left(const std::vector<CacheRecord>& records, const std::set<std::string>& ids);

// Whether it may stand in BuildKit's filters as it is: letters, digits, '_' and '-'; every id of BuildKit's own does.
bool is_cache_id(std::string_view id);

// The ids in their order, at most `most` for each call. kInvalid: one of them is none (is_cache_id()).
Result<std::vector<std::vector<std::string>>> cache_id_batches(const std::vector<std::string>& ids, std::size_t most);

// The bytes of a cache's own: what a prune can bring down. Shared records are an image's.
Bytes cache_bytes(const std::vector<CacheRecord>& records);
Bytes cache_bytes(const CacheOrder& records);

}  // namespace buildwarden::policy
