// Seeds: a builder's volume as an archive, for the builders of new instances. What fits where, what is restored and
// what is saved. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/time.h"
#include "common/units.h"
#include "config/settings.h"
#include "daemon/policy/eviction_order.h"

namespace buildwarden::policy {

// The layout of archives and manifest that this version writes and reads, and no other.
inline constexpr std::int64_t kSeedFormat = 1;

// The first part has the folders, the others the files.
inline constexpr std::size_t kMostSeedParts = 8;

// Of one seed: more are neither saved nor restored.
inline constexpr std::int64_t kMostSeedEntries = 50'000'000;

struct SeedPart {
  std::string name;      // one component
  Bytes bytes = 0;       // of the archive
  std::string sha256{};  // of the archive, 64 hex digits
  friend bool operator==(const SeedPart&, const SeedPart&) = default;
};

struct SeedManifest {
  std::int64_t format = kSeedFormat;
  std::string builder;
  std::string architecture;  // "amd64"
  std::string buildkit;      // its version: "v0.23.2"
  std::string snapshotter;   // "overlayfs"; "": the volume names none
  std::string engine;        // its version; for people
  std::string instance;      // that saved it: its id, else its host name
  WallTime created_at;
  std::vector<SeedPart> parts;
  std::vector<std::string> previous;  // names of the parts of the seed before it, which somebody may be reading yet
  std::vector<std::string> images{};  // of the engine, worth most first, by digest: "node@sha256:…"
  Bytes unpacked_bytes = 0;           // of its files' content, without holes
  std::int64_t entries = 0;           // files, folders and links
};

// Of one seed; a longer reference is left out.
inline constexpr std::size_t kMostSeedImages = 50;
inline constexpr std::size_t kLongestSeedImage = 300;
// "node@sha256:…": what a registry has under that name, whoever moved its tags.
bool is_seed_image(const std::string& reference);
// The images of an engine that are worth most where they are, at most `most` of those that a registry has, without
// those that have one of the names in `without`: each by its first digest. `valued`: what value_images() made of them.
std::vector<std::string> seed_images(std::vector<Candidate> valued, std::size_t most,
                                     const std::vector<std::string>& without);

Bytes archive_bytes(const SeedManifest& manifest);

// A builder into which a seed is to go.
struct SeedHost {
  std::string builder;
  std::string architecture;
  std::string buildkit;     // the version of its image; "": not known
  std::string snapshotter;  // that it will use; "": not known
};

struct SeedRefusal {
  std::string rule;  // "format", "builder", "architecture", "buildkit", "snapshotter", "too_large", "manifest"
  std::string reason;
};

// Why this seed is not for that builder; nothing when it is. What is not known of either side refuses it, but for a
// volume that names no snapshotter.
std::optional<SeedRefusal> seed_refusal(const SeedManifest& manifest, const SeedHost& host, Bytes max_size);
// The same before the builder's image is there: what its BuildKit must be is not looked at.
std::optional<SeedRefusal> seed_refusal_without_image(const SeedManifest& manifest, const SeedHost& host,
                                                      Bytes max_size);

// Of a builder that may get a seed before its first start.
struct RestoreFacts {
  bool wanted = false;  // seeds.location, seeds.restore, and the builder's own word
  bool dry_run = false;
  bool engine_up = false;
  bool container = false;            // it has one
  std::optional<bool> volume_empty;  // or not there; nothing: not known
};

enum class RestoreVerdict : std::uint8_t {
  kWait,  // not known yet; asked again
  kCold,  // nothing to restore: its first container may be made
  kLook,  // at the manifest
};

struct RestorePlan {
  RestoreVerdict verdict = RestoreVerdict::kWait;
  std::string rule;  // "off", "dry_run", "engine_down", "not_first", "not_empty", "volume_unknown", "look"
  std::string reason;
};

RestorePlan plan_restore(const RestoreFacts& facts);

// Room for a seed: its filesystem must stay above the targets while it is unpacked. Nothing free: it cannot be told,
// and nothing is restored.
struct SeedRoom {
  std::optional<Bytes> free;
  Bytes target = 0;
  bool has_inode_limit = false;
  std::int64_t free_inodes = 0;
  std::int64_t target_inodes = 0;
};
// That an entry takes beside its content: a folder's block, a long link's, what a file's last block has over.
inline constexpr Bytes kSeedEntryBytes = 4 * kKiB;
// Why there is no room; "" when there is. Each entry counts as an inode and as kSeedEntryBytes.
std::string no_room_for(const SeedManifest& manifest, const SeedRoom& room);

// Of a builder that may be saved.
struct SaveFacts {
  SeedSave when = SeedSave::kNever;
  bool wanted = true;  // seeds.location and the builder's own word
  bool dry_run = false;
  bool warm = false;
  std::size_t leases = 0;
  std::optional<int> running_builds;
  std::optional<Bytes> cache_bytes;
  std::optional<BootTime> idle_since;  // nobody used it since; nothing: somebody does
  bool draining = false;               // the instance ends
  bool disk_ok = false;                // its filesystem is not short
  // What is known of the location: the age of the seed that lies there.
  std::optional<Duration> age;  // nothing: there is none
  Duration every{0};
  Bytes max_size = 0;
};

struct SavePlan {
  bool save = false;
  std::string rule;  // "save", or why not: "off", "dry_run", "not_warm", "leased", "builds", "not_idle", "too_large",
                     // "disk", "young"
  std::string reason;
};

// To which size its cache is brought before it is saved, what is worth least first: only where it is too large and the
// instance ends, so that nobody needs what goes. Nothing: it is saved as it is.
std::optional<Bytes> bring_down_to(const SaveFacts& facts);

// For how long nobody may have used a builder before it is saved.
inline constexpr Duration kSaveAfterIdle = std::chrono::minutes{2};

// Whether its seed is to be made now; `location_known`: `age` was asked for.
SavePlan plan_save(const SaveFacts& facts, bool location_known, Now now);
// The same because somebody asks: neither the time of the day nor the age of the last seed keeps it.
SavePlan plan_save_asked(SaveFacts facts, Now now);

// When the location is asked about the seed's age again: when it will be old enough, and a part of `every` later by
// chance (`jitter` in [0, 1]), so that the instances of a fleet do not save together. Few come early: the first of a
// thousand is published before the second asks (tests/bench/seeds_fleet.py).
Duration ask_again_after(std::optional<Duration> age, Duration every, double jitter);

// "3.4.5" → 3, "v0.13-x" → 0; nothing of anything else.
std::optional<int> major_version(const std::string& version);

}  // namespace buildwarden::policy
