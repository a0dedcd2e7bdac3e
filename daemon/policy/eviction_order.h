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
#include "daemon/policy/worth.h"

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
  kUnused = 12,            // kBuildCache, kImages and kBuildCacheShare in one order, in their place
};
// "unused" is shown of none: each of its candidates is of one of the three.
// "leftovers", "containers", "anonymous_volumes", "dangling_images", "build_cache", "images", "build_cache_share",
// "orphans", "checkouts", "git_mirrors", "last_resort".
std::string_view to_string(RungId rung);

// When something was used last, by both clocks.
struct LastUse {
  WallTime at;           // pulled, built, tagged, used, or at the latest first seen
  Duration observed{0};  // for how long we have watched it unused, on CLOCK_BOOTTIME; the clock may have stepped
  std::string by{};      // what tells, where there are several ways: ".git/index"
};

// What a candidate is worth where it is, and why (worth.h); for the order, and for people.
struct Valuation {
  double worth = 0;             // seconds of waiting saved by the hour and GiB; the least goes first
  std::size_t place = 0;        // among those that were ranked together, where two are worth the same
  double seconds = 0;           // to get it back, with all that goes with it
  bool is_estimated = false;    // one of the costs in it is not seen but estimated
  std::uint64_t uses = 0;       // as far as it was watched; of several things the most
  std::string superseded_by{};  // by what; "" by nothing, or not all of it
  std::string why{};            // one sentence
};

struct Candidate {
  std::string id;    // what the rung deletes by; never from a request
  std::string name;  // for people
  Bytes size = 0;    // as the engine reports it; once ranked, of an image what others do not share. Freed is measured
  Bytes shared = 0;  // once ranked, of an image: what it has beside `size`, and others have as well
  LastUse last_use;
  std::vector<std::string> references;  // what `keep` matches: names of an image as the engine shows them, tags first
  // What `keep` calls it where it is no image: "container:web", "network:shop_default", "volume:<name>".
  std::string kept_as{};
  std::string in_use_by;             // "container web", "" when nobody uses it
  std::string protected_as;          // "builder image", "leased by job 12", "" when it is not
  bool thrown_away = false;          // by us, before: nobody can want it, so no age holds it back
  bool given_up = false;             // whoever used it last says that it is over: no age holds it back either
  bool last = false;                 // goes after all others, however old
  std::string device;                // the filesystem that it lies on, "8:1"; "": any that its rung frees
  bool is_unsized = false;           // nobody knows its size, which then is 0
  LayerChain layers;                 // of an image
  bool is_beside = false;            // no candidate of this rung, but what has no more than its layers stays with it
  std::optional<Valuation> value{};  // where things are ranked by it
  bool is_over_share = false;        // of a cache over its share: no age holds it back but the grace
  std::optional<RungId> rung{};      // whose it is, where one turn takes the candidates of several
};

struct EvictionRules {
  Duration age{0};    // keep_used_within, or grace in the second pass
  Duration grace{0};  // younger is never deleted, whatever the age
  // As KeepPatterns takes them; those that begin with `container:`, `network:` or `volume:` are over the names of such.
  std::vector<std::string> keep;
  std::optional<WallTime> oldest_job_start;  // used since then: it may be that job's. Now less its boot age
  bool by_value = false;                     // what is worth least goes first; else what was used longest ago
};

struct Skipped {
  Candidate candidate;
  std::string why;   // one sentence with its numbers
  std::string rule;  // "in_use", "protected", "keep", "grace", "age", "running_job", "shared"
};

struct Ranking {
  std::vector<Candidate> order;  // least recently used, or least worth, first; after them those that go last
  std::vector<Skipped> skipped;  // without those that are only beside
};

// Leaves the `most` largest, in their order.
void keep_largest(std::vector<Skipped>& skipped, std::size_t most);

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
// What the list says of it; who uses it and when it was used is for others to say.
Candidate image_candidate(const ImageRecord& image);

// One record of a build cache, as the engine or a builder lists it.
struct CacheRecord {
  std::string id;
  Bytes size = 0;
  bool in_use = false;
  WallTime last_used;   // creation when it was never used
  bool shared = false;  // also in an image: no part of the cache's own size, and a prune frees nothing of it
  std::vector<std::string> parents{};  // ids of those that it is built on; one that is not listed counts for nothing
  WallTime created{};                  // the begin of time where nobody tells
  std::uint64_t uses = 0;              // after its creation, as the cache counts them; 0 where it does not tell
  std::string description{};           // "mount / from exec /bin/sh -c make"; "" where nobody tells
  std::string type{};                  // "regular", "source.local", "exec.cachemount", …; "" where nobody tells
};

// A record in its tree. BuildKit never deletes one that has children, and a cached build touches the leaf alone: so a
// record was used when any descendant was, and goes only after all of them.
struct CacheEntry {
  const CacheRecord* record = nullptr;  // lives elsewhere
  WallTime used;                        // the last use of it or of any descendant
  std::size_t unit =
      0;              // the same for those that go together: a record, and what it is built on and was last used by it
  bool held = false;  // it or a descendant is in use or shared, or its descendants form a ring: it cannot go
  const Place* place = nullptr;  // by value, where it was ranked so; lives in the list
};

// Records of a cache, or what is left of them: least recently used first (or least worth), a descendant before what it
// is built on, and each unit in one piece.
using CacheOrder = std::vector<CacheEntry>;

struct CacheStep;

// A cache's records, put in order once. Stays where it is, since the order points into it.
class CacheList {
 public:
  explicit CacheList(std::vector<CacheRecord> records);
  CacheList(const CacheList&) = delete;
  CacheList& operator=(const CacheList&) = delete;
  // By value once it was ranked so, before by last use.
  [[nodiscard]] const CacheOrder& order() const { return order_; }
  [[nodiscard]] const std::vector<CacheRecord>& records() const { return records_; }

  // As they were ranked; none before.
  [[nodiscard]] const std::vector<Thing>& things() const { return things_; }

  // Puts them in the order of their value instead: `things` are the records, in their order (cache_things()).
  void rank_by_value(std::vector<Thing> things, WallTime now);
  // What a step of this list is worth, and why; nothing without such an order.
  [[nodiscard]] std::optional<Valuation> value_of(const CacheStep& step) const;

 private:
  std::vector<CacheRecord> records_;
  CacheOrder order_;
  std::vector<Thing> things_;
  WorthOrder places_;
  WallTime ranked_at_;
};

// A prune of a cache by id.
struct CacheStep {
  std::vector<std::string> ids;  // children before their parents
  Bytes frees = 0;               // by the records' sizes
  WallTime newest;               // the last use of the youngest record that it deletes, or of its descendants
  Duration unused_for{0};  // the age to give to the prune: spares what is too young or used since the oldest job start
  bool is_over_share = false;          // it goes since the cache is over its share, not for its age
  std::vector<const Place*> places{};  // of its records, where they were ranked by value
};

// How far a cache is pruned, and in which steps.
struct CacheBounds {
  Bytes chunk = 0;  // about so much a step; 0 and below: a unit a step
  Bytes floor = 0;  // nothing goes once at most so much is left: what the cache may hold without being asked
  // While more than so much is left, no age but the grace holds anything back; nothing: the age always does.
  std::optional<Bytes> share{};
};

// Prune steps of about `chunk` bytes each, in the order given, over the records unused for `age` and not held. What
// goes together is in one step, but where the floor is met within it, or another age counts from there on; and what is
// worth far more than what a step began with begins another one. A prune by bytes would not do: BuildKit ranks by last
// use and by the number of uses. Empty also when the oldest job seems to start in the future: then nothing tells what
// it used.
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
