// Something that could be deleted to make room, and which of several goes first. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"

namespace buildwarden::policy {

// The rungs of the ladder, cheapest to rebuild first; the numbers are those of daemon/disk/README.md.
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
};
// "leftovers", "containers", "anonymous_volumes", "dangling_images", "build_cache", "images", "build_cache_share",
// "orphans", "checkouts", "last_resort".
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
  Bytes size = 0;    // as the engine reports it; freed bytes are measured, never this
  LastUse last_use;
  std::vector<std::string> references;  // what `keep` globs match: image references
  // What `keep` calls it where it is no image: "container:web", "network:shop_default", "volume:<name>".
  std::string kept_as{};
  std::string in_use_by;     // "container web", "" when nobody uses it
  std::string protected_as;  // "builder image", "leased by job 12", "" when it is not
  bool thrown_away = false;  // by us, before: nobody can want it, so no age holds it back
  bool given_up = false;     // whoever used it last says that it is over: no age holds it back either
  bool last = false;         // goes after all others, however old
  std::string device;        // the filesystem that it lies on, "8:1"; "": any that its rung frees
  bool is_unsized = false;   // nobody knows its size, which then is 0
};

struct EvictionRules {
  Duration age{0};    // keep_used_within, or grace in the second pass
  Duration grace{0};  // younger is never deleted, whatever the age
  // Globs over references: * and ? within one. Those that begin with `container:`, `network:` or `volume:` are over the
  // names of such.
  std::vector<std::string> keep;
  std::optional<WallTime> oldest_job_start;  // used since then: it may be that job's. Now less its boot age
};

struct Skipped {
  Candidate candidate;
  std::string why;   // one sentence with its numbers
  std::string rule;  // "in_use", "protected", "keep", "grace", "age", "running_job"
};

struct Ranking {
  std::vector<Candidate> order;  // least recently used first, and after them those that go last
  std::vector<Skipped> skipped;
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

// A plan, not a licence: each candidate is asked about again directly before it is deleted.
Ranking rank(std::vector<Candidate> candidates, const EvictionRules& rules, Now now);

// The age that counts: the lesser of the wall clock's and the observed one; a stamp from the future is age 0.
Duration age_of(const LastUse& use, Now now);

// Shell-like glob: `*` any run of characters, `?` one, everything else itself.
bool glob_matches(std::string_view pattern, std::string_view text);

// One image as the engine lists it.
struct ImageRecord {
  std::string id;                 // "sha256:…"
  std::vector<std::string> tags;  // "name:tag"; empty = dangling
  Bytes size = 0;
  WallTime created;  // build date: says nothing of its use
};

// One record of a build cache, as the engine or a builder lists it.
struct CacheRecord {
  std::string id;
  Bytes size = 0;
  bool in_use = false;
  WallTime last_used;   // creation when it was never used
  bool shared = false;  // also in an image: no part of the cache's own size, and a prune frees nothing of it
};

// Records of a cache, or what is left of them, least recently used first. They live elsewhere.
using CacheOrder = std::vector<const CacheRecord*>;

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

// A prune of a cache by size: "keep the `keep` most recently used bytes".
struct CacheStep {
  Bytes keep = 0;
  Bytes frees = 0;  // by the records' sizes
  std::size_t records = 0;
  WallTime newest;         // the last use of the youngest record that it deletes
  Duration unused_for{0};  // the age to give to the prune: spares what is too young or used since the oldest job start
};

// How far a cache is pruned, and in which steps.
struct CacheBounds {
  Bytes chunk = 0;  // about so much a step; 0 and below: a record a step
  Bytes floor = 0;  // nothing goes once at most so much is left: what the cache may hold without being asked
};

// Prune steps of about `chunk` bytes each, least recently used first, over the records unused for `age` and not in use.
// Both bounds of a step must be given to the prune: an engine's order is not purely by last use, so `keep` alone may
// cost a younger record. Empty also when the oldest job seems to start in the future: then nothing tells what it used.
std::vector<CacheStep> cache_steps(const CacheOrder& records, const CacheBounds& bounds, const EvictionRules& rules,
                                   Now now);

// What is left of the records after a step: the least recently used of those that it may delete are gone until at most
// `keep` bytes are there. For plans that build on steps which were only pretended.
CacheOrder after_step(CacheOrder records, Bytes keep, Duration unused_for, Now now);

// The bytes of a cache's own: what a prune can bring down. Shared records are an image's.
Bytes cache_bytes(const std::vector<CacheRecord>& records);
Bytes cache_bytes(const CacheOrder& records);

}  // namespace buildwarden::policy
