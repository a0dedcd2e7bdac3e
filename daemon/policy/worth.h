// What a thing on the disk is worth, and in which order things go when room is needed. Pure.
//
// Worth is what the bytes of a thing save where they are: its expected rate of use times the seconds that it costs to
// get it back, divided by the bytes that its deletion gives back (issue 18). What is worth least goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "common/units.h"

namespace buildwarden::policy {

enum class ThingKind : std::uint8_t {
  kImage,     // of the engine
  kCache,     // a record of a build cache: the engine's or a container builder's
  kCheckout,  // of a job
};
// "image", "cache", "checkout".
std::string_view to_string(ThingKind kind);

// When and how often something was used, as far as it was watched. The ledger keeps it whole over restarts; only
// note_use() changes it.
struct UseHistory {
  WallTime first_seen{};
  WallTime last_use{};     // not before first_seen; first_seen when it was never used
  std::uint64_t uses = 0;  // 0: seen, and not used since
  Duration gap{0};         // between its uses, the later ones counting more; 0 below two uses
};
// Begins a history: what is made or pulled by a job is used by it at once (uses 1).
UseHistory first_use(WallTime at);
// Notes `times` uses, the last at `at`. A time before the last use counts as that one: clocks step.
void note_use(UseHistory& history, WallTime at, std::uint64_t times = 1);

// A slot is the place that one thing after another takes, each a new version of the one before: of a cache record the
// chain of descriptions from its base to it within one builder, of an image its repository within one engine. The same
// on every host and in every version: it may be kept.
using SlotId = std::uint64_t;  // 0: no slot is known
// `below`: the slot of the record that it is built on (of its first parent), 0 for a base. Never 0.
SlotId cache_slot(SlotId below, std::string_view builder, std::string_view description);
// `repository` without tag and digest. Never 0.
SlotId image_slot(std::string_view repository);

// What was seen of a slot, over all versions that it held, those that are gone too. The ledger keeps it whole.
struct SlotHistory {
  UseHistory use;
  std::uint64_t unchanged = 0;  // of the uses: those that found a version that had been there before
};
// A use of the slot: `unchanged` when what was used had been there before, so that nothing had to be made.
void note_slot_use(SlotHistory& history, WallTime at, bool unchanged);

// What it takes to get a thing back once it is gone.
struct Cost {
  double seconds = 0;         // of a build step, a pull, a transfer; never negative
  bool is_estimated = false;  // from its size and learned rates, since nobody saw it
};

// One thing that is on the disk now.
struct Thing {
  ThingKind kind = ThingKind::kImage;
  std::string id;       // unique among those of its kind and builder
  std::string name;     // for people: "node:18", "[3/7] RUN npm ci"
  std::string builder;  // whose cache it is in; "" is the engine's, and of what is no cache
  std::vector<std::string>
      parents;      // ids of its kind and builder that it is built on; one not listed counts for nothing
  Bytes bytes = 0;  // that its deletion gives back: its unshared size; never negative
  Cost cost;        // of itself alone
  UseHistory use;
  SlotId slot = 0;
  SlotHistory slot_history;     // all zero when `slot` is 0
  std::string superseded_by;    // name or id of what took its slot since its last use; "" when nothing did
  bool is_sent_anyway = false;  // source.local without reuse_context: each job sends it whole, so it saves nothing
};

// How often a thing will be used, by the hour: 0 of what is sent anyway.
//
// Of its own history uses / (age + 1 h), as in Hyperbolic Caching (Blankstein, Sen, Freedman, USENIX ATC 2017). Where
// something is known of its slot, also how often the slot is used, times the share of those uses since the thing was
// made that were of it, times the probability that it was not replaced, told by how long the slot went without it and
// by how many of the slot's uses find what they need; both are weighed, the slot's seven to three. A fifth of it when
// superseded: branches take turns.
double expected_uses_per_hour(const Thing& thing, WallTime now);

// Fills `superseded_by` of those whose slot was taken by a version first seen after their last use.
void mark_superseded(std::vector<Thing>& things);

// A thing in its place of the order. What it stands on is of all that must go with it: a record goes only after those
// that are built on it, so what is cheap in itself stands where the dear ones on top of it stand.
struct Place {
  std::size_t thing = 0;      // index in the list that was ranked
  double worth = 0;           // what it stands on: seconds of waiting saved by the hour and GiB; 0: nothing is lost
  double seconds = 0;         // to get it back, with all that goes with it
  bool is_estimated = false;  // one of the costs in `seconds` is
  Bytes bytes = 0;            // that all of it gives back
  double uses_per_hour = 0;   // expected, of the most used of it
  std::size_t with = 0;       // how many other records go with it
  std::size_t unit = 0;       // the same for those that go together: a tree or a piece of one
};

// The first goes first. Each record stands after all that are built on it; records in a ring stand at the end.
using WorthOrder = std::vector<Place>;

// By worth. A record's rate is that of the most used that is built on it. What is built on a record stands before it
// where it is worth less, and in one piece with it, at the worth of the piece, where it is worth more: this is the
// order that loses least of any that keeps the trees (Horn: Single-machine job sequencing with treelike precedence
// ordering, SIAM J. Appl. Math. 1972), with a record of several parents counted to its first. O(n log n).
WorthOrder order_by_value(const std::vector<Thing>& things, WallTime now);
// By last use, the same trees kept: a record was used when any that is built on it was. What a place says of worth is
// of the thing alone.
WorthOrder order_by_last_use(const std::vector<Thing>& things, WallTime now);

// One sentence for people, with the numbers that it stands on: "costs 12.4 s to get back (estimated), used 7 times in
// 3h, last 20m ago, gives back 81.0 MiB: keeping it saves 31.2 s an hour for each GiB".
std::string why(const Thing& thing, const Place& place, WallTime now);

}  // namespace buildwarden::policy
