// A volume into a store.
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "common/beneath.h"
#include "common/clock.h"
#include "common/format.h"
#include "common/unique_fd.h"
#include "daemon/seeds/manifest.h"
#include "daemon/seeds/packer.h"
#include "daemon/seeds/tasks.h"

namespace buildwarden::seeds {
namespace {

constexpr std::size_t kPartsOfFiles = 4;  // beside the one with the folders
constexpr Duration kOrphanAge = std::chrono::hours{24};
constexpr std::size_t kStampLength = 16;   // "20261201T010203Z"
constexpr std::size_t kChanceLength = 16;  // hexadecimal digits
constexpr std::string_view kPartEnding = ".tar.zst";
constexpr std::size_t kMostAtTop = 1'000;

Result<UniqueFd> open_data(const Order& order) {
  UniqueFd volume(::open(order.volume.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!volume.open()) return Error::from_errno(errno, order.volume);
  auto data = open_beneath(volume.get(), kData, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!data.open()) return Error::from_errno(errno, format("{}/{}", order.volume, kData));
  return data;
}

// "20261201T010203Z" of "2026-12-01T01:02:03.000Z".
std::string stamp(WallTime time) {
  auto text = format_rfc3339(time);
  std::erase_if(text, [](char one) { return one == '-' || one == ':'; });
  return text.substr(0, kStampLength - 1) + "Z";
}

// BuildKit's workers keep their state in "runc-overlayfs", "containerd-native"; of several none is told.
std::string snapshotter_of(int data) {
  const auto entries = entries_of(data, "the volume", kMostAtTop);
  std::string found;
  if (!entries) return found;
  for (const auto& entry : *entries) {
    for (const std::string_view worker : {"runc-", "containerd-"}) {
      if (!entry.name.starts_with(worker)) continue;
      if (!found.empty()) return "";
      found = entry.name.substr(worker.size());
    }
  }
  return found;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> names_in(const policy::SeedManifest& manifest) {
  std::vector<std::string> names;
  for (const auto& part : manifest.parts) names.push_back(part.name);
  return names;
}

bool has_only(std::string_view text, std::string_view letters) {
  return !text.empty() && text.find_first_not_of(letters) == std::string_view::npos;
}

// Whether save() may have given a part this name: a stem of new_stem(), "-" and the part's number. The location may
// hold files of others, which stay.
bool is_of_a_save(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::size_t kDate = 8;
  if (name.size() != kStampLength + 1 + kChanceLength + 2 + kPartEnding.size()) return false;
  const auto stamp = name.substr(0, kStampLength);
  const auto chance = name.substr(kStampLength + 1, kChanceLength);
  const auto number = name.substr(kStampLength + 1 + kChanceLength);
  return has_only(stamp.substr(0, kDate), kDigits) && stamp[kDate] == 'T' &&
         has_only(stamp.substr(kDate + 1, kStampLength - kDate - 2), kDigits) && stamp.back() == 'Z' &&
         name[kStampLength] == '-' && has_only(chance, "0123456789abcdef") && number[0] == '-' &&
         has_only(number.substr(1, 1), kDigits) && name.ends_with(kPartEnding);
}

// What nobody can be reading: a restore takes minutes.
void remove_old(Store& store, const policy::SeedManifest& kept) {
  const auto names = store.part_names();
  if (!names) return;
  const auto current = names_in(kept);
  const auto old = stamp(SystemClock().now().wall - kOrphanAge);
  for (const auto& name : *names) {
    if (!is_of_a_save(name) || has(current, name) || has(kept.previous, name) || name.substr(0, kStampLength) >= old)
      continue;
    static_cast<void>(store.remove_part(name));  // the next one that publishes tries again
  }
}

}  // namespace

Result<std::string> new_stem(WallTime now) {
  std::uint64_t chance = 0;
  const auto got = ::getrandom(&chance, sizeof chance, 0);
  if (got < 0) return Error::from_errno(errno, "a name for the parts");
  if (got != static_cast<ssize_t>(sizeof chance)) return Error(Errc::kIo, "the kernel gave too few random bytes");
  return format("{}-{:016x}", stamp(now), chance);
}

Result<Answer> discard(const Order& order, Store& store) {
  const auto names = store.part_names();
  if (!names) return names.error();
  Result<void> removed;
  for (const auto& name : *names) {
    if (order.stem.empty() || !name.starts_with(order.stem) || !is_of_a_save(name)) continue;
    if (auto done = store.remove_part(name); !done) removed = done;
  }
  if (!removed) return removed.error();
  return Answer{};
}

Result<Answer> look(Store& store) {
  const auto text = store.manifest();
  if (!text) return text.error();
  auto manifest = decode_manifest(*text);
  if (!manifest) return std::move(manifest).error();
  Answer answer;
  answer.bytes = manifest->unpacked_bytes;
  answer.entries = manifest->entries;
  answer.manifest = *std::move(manifest);
  return answer;
}

Result<Answer> measure_volume(const Order& order) {
  const auto data = open_data(order);
  if (!data) return data.error();
  const auto all = measure(data->get());
  if (!all) return all.error();
  return Answer{std::nullopt, all->bytes, all->entries};
}

Result<Answer> save(const Order& order, Store& store, const Told& told) {
  const auto began = std::chrono::steady_clock::now();
  const auto data = open_data(order);
  if (!data) return data.error();
  const auto expected = measure(data->get());
  if (!expected) return expected.error();
  if (order.stem.empty()) return Error(Errc::kInvalid, "a save without a name for its parts");
  if (expected->bytes > order.most) {
    return Error(Errc::kTooLarge, format("the volume has {}, and seeds.max_size is {}", format_bytes(expected->bytes),
                                         format_bytes(order.most)));
  }
  Answer answer;
  answer.manifest = order.manifest;
  auto& manifest = *answer.manifest;
  manifest.snapshotter = snapshotter_of(data->get());
  std::vector<std::unique_ptr<PartStream>> streams;
  std::vector<int> descriptors;
  for (std::size_t at = 0; at <= kPartsOfFiles; ++at) {
    manifest.parts.push_back({format("{}-{}{}", order.stem, at, kPartEnding), 0, ""});
    auto stream = store.write_part(manifest.parts.back().name);
    if (!stream) return std::move(stream).error();
    descriptors.push_back((*stream)->descriptor());
    streams.push_back(*std::move(stream));
  }
  PackOptions options;
  options.most = order.most;
  if (order.patience > Duration{0}) options.until = began + order.patience;
  options.told = [&](Bytes done) { told({done, expected->bytes}); };
  options.why_closed = [&](std::size_t part) {
    auto finished = streams[part]->finish();
    return finished ? Error(Errc::kIo, format("nobody reads part {} any more", part)) : std::move(finished).error();
  };
  auto packed = pack(data->get(), descriptors, options);
  for (auto& stream : streams) {
    if (!packed) break;
    auto finished = stream->finish();
    if (!finished) packed = std::move(finished).error();
  }
  if (!packed) {
    streams.clear();
    for (const auto& part : manifest.parts) static_cast<void>(store.remove_part(part.name));
    return std::move(packed).error();
  }
  for (std::size_t at = 0; at < manifest.parts.size(); ++at) {
    manifest.parts[at].bytes = packed->parts[at].bytes;
    manifest.parts[at].sha256 = packed->parts[at].sha256;
  }
  answer.bytes = manifest.unpacked_bytes = packed->bytes;
  answer.entries = manifest.entries = packed->entries;
  return answer;
}

Result<Answer> publish(const Order& order, Store& store) {
  auto manifest = order.manifest;
  manifest.previous.clear();
  if (const auto before = look(store); before && before->manifest->format == policy::kSeedFormat) {
    manifest.previous = names_in(*before->manifest);
  }
  auto published = store.publish(encode_manifest(manifest));
  if (!published) return std::move(published).error();
  remove_old(store, manifest);
  Answer answer;
  answer.manifest = std::move(manifest);
  return answer;
}

}  // namespace buildwarden::seeds
