#include "daemon/policy/seed.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr std::size_t kSha256Digits = 64;
constexpr std::size_t kLongestPartName = 120;
constexpr std::string_view kPartLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
constexpr std::string_view kHexDigits = "0123456789abcdef";

// It becomes a file's name or a key's, so nothing in it may mean more.
bool is_part_name(const std::string& name) {
  return !name.empty() && name.size() <= kLongestPartName && name.front() != '.' && name.front() != '-' &&
         name.find_first_not_of(kPartLetters) == std::string::npos && name.ends_with(".tar.zst");
}

bool is_digest(const std::string& text) {
  return text.size() == kSha256Digits && text.find_first_not_of(kHexDigits) == std::string::npos;
}

bool is_repository(const std::string& name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:";
  return !name.empty() && name.front() != '-' && name.front() != '/' &&
         name.find_first_not_of(kLetters) == std::string::npos;
}

std::string flaw_of(const SeedManifest& manifest) {
  if (manifest.parts.empty() || manifest.parts.size() > kMostSeedParts) {
    return format("{} parts; there are 1 to {}", manifest.parts.size(), kMostSeedParts);
  }
  if (manifest.images.size() > kMostSeedImages) return format("{} images", manifest.images.size());
  if (!std::all_of(manifest.images.begin(), manifest.images.end(), is_seed_image)) return "an image that is none";
  if (manifest.unpacked_bytes < 0 || manifest.entries < 0) return "a size below 0";
  for (const auto& part : manifest.parts) {
    if (!is_part_name(part.name)) return "a part with a name that is none";
    if (!is_digest(part.sha256)) return format("part {} without a SHA-256", part.name);
    if (part.bytes < 0) return format("part {} with a size below 0", part.name);
  }
  return std::all_of(manifest.previous.begin(), manifest.previous.end(), is_part_name)
             ? ""
             : "a part of the seed before it with a name that is none";
}

SeedRefusal refuse(std::string rule, std::string reason) { return {std::move(rule), std::move(reason)}; }

std::optional<SeedRefusal> other_buildkit(const SeedManifest& manifest, const SeedHost& host) {
  const auto theirs = major_version(manifest.buildkit);
  const auto ours = major_version(host.buildkit);
  if (!theirs || !ours) {
    return refuse("buildkit", format("whether BuildKit {} reads what {} wrote is not known",
                                     host.buildkit.empty() ? "of an unknown version" : host.buildkit,
                                     manifest.buildkit.empty() ? "an unknown version" : manifest.buildkit));
  }
  if (*theirs == *ours) return std::nullopt;
  return refuse("buildkit",
                format("it was written by BuildKit {}, and the builder's is {}", manifest.buildkit, host.buildkit));
}

SavePlan not_saved(std::string rule, std::string reason) { return {false, std::move(rule), std::move(reason)}; }

// What holds however the save was begun.
std::optional<SavePlan> unfit(const SaveFacts& facts) {
  if (!facts.wanted) return not_saved("off", "no seed is made of it: seeds.location is empty, or its seed is false");
  if (facts.dry_run) return not_saved("dry_run", "nothing is saved in a dry run");
  if (!facts.warm) return not_saved("not_warm", "the builder is not warm");
  if (facts.leases > 0) return not_saved("leased", format("{} jobs hold the builder", facts.leases));
  if (facts.running_builds != 0) {
    return not_saved("builds", facts.running_builds ? format("{} connections build on it", *facts.running_builds)
                                                    : std::string("who builds on it is not known"));
  }
  if (!facts.draining && facts.cache_bytes && *facts.cache_bytes > facts.max_size) {
    return not_saved("too_large",
                     format("its cache of {} is larger than seeds.max_size {}; what is worth least of it is left out "
                            "only while the instance ends, since this builder goes on working with all of it",
                            format_bytes(*facts.cache_bytes), format_bytes(facts.max_size)));
  }
  return std::nullopt;
}

}  // namespace

bool is_seed_image(const std::string& reference) {
  constexpr std::string_view kAlgorithm = "@sha256:";
  const auto at = reference.find(kAlgorithm);
  return at != std::string::npos && reference.size() <= kLongestSeedImage && is_repository(reference.substr(0, at)) &&
         is_digest(reference.substr(at + kAlgorithm.size()));
}

std::vector<std::string> seed_images(std::vector<Candidate> valued, std::size_t most,
                                     const std::vector<std::string>& without) {
  std::erase_if(valued, [](const Candidate& one) { return !one.value; });
  std::sort(valued.begin(), valued.end(),
            [](const Candidate& one, const Candidate& other) { return one.value->place > other.value->place; });
  std::vector<std::string> images;
  for (const auto& candidate : valued) {
    const auto& names = candidate.references;
    const bool is_left_out = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return std::find(without.begin(), without.end(), name) != without.end();
    });
    const auto digest = std::find_if(names.begin(), names.end(), is_seed_image);
    if (is_left_out || digest == names.end()) continue;
    if (images.size() >= std::min(most, kMostSeedImages)) break;
    images.push_back(*digest);
  }
  return images;
}

Bytes archive_bytes(const SeedManifest& manifest) {
  Bytes all = 0;
  for (const auto& part : manifest.parts) all += part.bytes;
  return all;
}

std::optional<int> major_version(const std::string& version) {
  const auto* begin = version.data();
  const auto* const end = begin + version.size();
  if (begin != end && *begin == 'v') ++begin;
  int major = 0;
  const auto [rest, error] = std::from_chars(begin, end, major);
  if (error != std::errc() || major < 0 || rest == end || *rest != '.') return std::nullopt;
  return major;
}

std::optional<SeedRefusal> seed_refusal_without_image(const SeedManifest& manifest, const SeedHost& host,
                                                      Bytes max_size) {
  if (manifest.format != kSeedFormat) {
    return refuse("format", format("its format is {}, and this version reads {}", manifest.format, kSeedFormat));
  }
  if (const auto flaw = flaw_of(manifest); !flaw.empty()) {
    return refuse("manifest", format("its manifest is wrong: {}", flaw));
  }
  if (manifest.builder != host.builder) {
    return refuse("builder", format("it is of builder {}, not of {}", manifest.builder, host.builder));
  }
  if (manifest.architecture != host.architecture) {
    return refuse("architecture",
                  format("it is of architecture {}, and this machine is {}", manifest.architecture, host.architecture));
  }
  if (!manifest.snapshotter.empty() && manifest.snapshotter != host.snapshotter) {
    return refuse("snapshotter", format("its snapshotter is {}, and the builder's {}", manifest.snapshotter,
                                        host.snapshotter.empty() ? "is not known" : host.snapshotter));
  }
  const auto larger = std::max(manifest.unpacked_bytes, archive_bytes(manifest));
  if (larger > max_size) {
    return refuse("too_large",
                  format("it has {}, and seeds.max_size is {}", format_bytes(larger), format_bytes(max_size)));
  }
  if (manifest.entries > kMostSeedEntries) {
    return refuse("too_large",
                  format("it has {} entries, and no seed may have more than {}", manifest.entries, kMostSeedEntries));
  }
  return std::nullopt;
}

std::optional<SeedRefusal> seed_refusal(const SeedManifest& manifest, const SeedHost& host, Bytes max_size) {
  auto refusal = seed_refusal_without_image(manifest, host, max_size);
  return refusal ? refusal : other_buildkit(manifest, host);
}

RestorePlan plan_restore(const RestoreFacts& facts) {
  using enum RestoreVerdict;
  if (!facts.wanted) return {kCold, "off", "no seed is wanted"};
  if (facts.dry_run) return {kCold, "dry_run", "nothing is restored in a dry run"};
  if (!facts.engine_up) return {kWait, "engine_down", "the engine does not answer yet"};
  if (facts.container) return {kCold, "not_first", "the builder has a container already"};
  if (!facts.volume_empty) return {kCold, "volume_unknown", "what its volume holds is not known"};
  if (!*facts.volume_empty) return {kCold, "not_empty", "its volume has content already"};
  return {kLook, "look", "its volume is empty: the location is asked for a seed"};
}

std::string no_room_for(const SeedManifest& manifest, const SeedRoom& room) {
  if (!room.free) return "how much room its filesystem has is not known";
  const auto taken = manifest.unpacked_bytes + manifest.entries * kSeedEntryBytes;
  if (*room.free - taken < room.target) {
    return format("{} free less {} for its {} in {} entries are below the target of {}", format_bytes(*room.free),
                  format_bytes(taken), format_bytes(manifest.unpacked_bytes), manifest.entries,
                  format_bytes(room.target));
  }
  if (!room.has_inode_limit || room.free_inodes - manifest.entries >= room.target_inodes) return "";
  return format("{} free inodes less its {} entries are below the target of {}", room.free_inodes, manifest.entries,
                room.target_inodes);
}

std::optional<Bytes> bring_down_to(const SaveFacts& facts) {
  if (!facts.draining || !facts.cache_bytes || *facts.cache_bytes <= facts.max_size) return std::nullopt;
  constexpr Bytes kOfTen = 9;  // what a volume has beside its cache: databases, blobs that no record names
  return facts.max_size / 10 * kOfTen;
}

SavePlan plan_save(const SaveFacts& facts, bool location_known, Now now) {
  if (facts.when == SeedSave::kNever) return not_saved("off", "seeds.save is never");
  if (auto plan = unfit(facts)) return *std::move(plan);
  if (facts.when == SeedSave::kDrain && !facts.draining) return not_saved("not_draining", "the instance stays");
  if (!facts.draining && !facts.disk_ok) return not_saved("disk", "its filesystem is short, or not known");
  const auto idle = facts.idle_since ? now.boot - *facts.idle_since : Duration{0};
  if (!facts.draining && idle < kSaveAfterIdle) {
    return not_saved("not_idle", format("nobody used it for {}; {} are waited for", format_duration(idle),
                                        format_duration(kSaveAfterIdle)));
  }
  if (location_known && facts.age && *facts.age < facts.every) {
    return not_saved("young", format("the seed at the location is {} old, and seeds.every is {}",
                                     format_duration(*facts.age), format_duration(facts.every)));
  }
  return {true, "save", facts.draining ? "the instance ends" : "nobody uses it"};
}

SavePlan plan_save_asked(SaveFacts facts, Now /*now*/) {
  if (auto plan = unfit(facts)) return *std::move(plan);
  return {true, "save", "somebody asked"};
}

Duration ask_again_after(std::optional<Duration> age, Duration every, double jitter) {
  constexpr Duration kSoonest = std::chrono::minutes{1};
  constexpr double kPart = 0.1;
  constexpr double kPower = 1.0 / 8;
  const auto due = age ? std::max(every - *age, kSoonest) : kSoonest;
  return due +
         Duration{static_cast<Duration::rep>(static_cast<double>(every.count()) * kPart * std::pow(jitter, kPower))};
}

}  // namespace buildwarden::policy
