// A volume into a store, and from a store into a volume.
#include "daemon/seeds/tasks.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>

#include "common/begin_thread.h"
#include "common/beneath.h"
#include "common/clock.h"
#include "common/format.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"
#include "daemon/seeds/manifest.h"
#include "daemon/seeds/packer.h"
#include "daemon/seeds/unpacker.h"

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

Result<UniqueFd> open_volume(const Order& order) {
  UniqueFd volume(::open(order.volume.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!volume.open()) return Error::from_errno(errno, order.volume);
  return volume;
}

Result<void> remove_staging(int volume) {
  const auto identity = tree_identity_in(volume, kStaging);
  if (!identity && identity.error().code() == Errc::kNotFound) return {};
  if (!identity) return identity.error();
  RemovalOptions options;
  options.threads = 2;
  const auto removed = remove_tree_in(volume, kStaging, *identity, options);
  if (!removed) return removed.error();
  if (removed->whole()) return {};
  return Error(Errc::kIo, format("what an earlier restore left cannot be removed: {}", removed->first_error));
}

Result<void> expect_empty(int volume, const std::string& where) {
  const auto data = open_beneath(volume, kData, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!data.open()) return Error::from_errno(errno, format("{}/{}", where, kData));
  const auto entries = some_entries_of(data.get(), where, 1);
  if (!entries) return entries.error();
  if (entries->all == 0) return {};
  return Error(Errc::kConflict, format("{} is not empty", where));
}

class Restoring {
 public:
  Restoring(Store& store, const policy::SeedManifest& manifest, int staging, const Told& told)
      : store_(store),
        manifest_(manifest),
        unpacker_(staging, {manifest.unpacked_bytes, std::min(manifest.entries, policy::kMostSeedEntries)},
                  [&told, of = manifest.unpacked_bytes](Bytes done) { told({done, of}); }) {}

  Result<void> run() {
    take(0);
    std::vector<std::thread> threads;
    for (std::size_t at = 1; at < manifest_.parts.size() && !failed(); ++at) {
      auto begun = begin_thread([this, at] { take(at); });
      if (begun) {
        threads.push_back(*std::move(begun));
      } else {
        fail(std::move(begun).error());
      }
    }
    for (auto& thread : threads) thread.join();
    if (failure_) return *failure_;
    return unpacker_.finish();
  }

 private:
  bool failed() {
    const std::lock_guard lock(mutex_);
    return failure_.has_value();
  }

  void take(std::size_t at) {
    auto done = read(at);
    if (!done) fail(std::move(done).with_context(format("part {}", at)).error());
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    // The first counts: the others follow from it.
    if (!failure_) failure_ = std::move(error);
    unpacker_.give_up();
  }

  Result<void> read(std::size_t at) {
    const auto& part = manifest_.parts[at];
    auto stream = store_.read_part(part.name);
    if (!stream) return std::move(stream).error();
    const auto got = at == 0 ? unpacker_.folders((*stream)->descriptor(), part.bytes)
                             : unpacker_.files((*stream)->descriptor(), part.bytes);
    if (!got) {
      // A transfer that broke off is the reason for an archive that seems damaged.
      const bool damaged = got.error().code() == Errc::kProtocol;
      auto finished = damaged ? (*stream)->finish() : Result<void>{};
      return finished ? got.error() : std::move(finished).error();
    }
    auto finished = (*stream)->finish();
    if (!finished) return finished;
    if (got->bytes == part.bytes && got->sha256 == part.sha256) return {};
    return Error(Errc::kProtocol, format("{} bytes with SHA-256 {} came, the manifest says {} with {}", got->bytes,
                                         got->sha256, part.bytes, part.sha256));
  }

  Store& store_;
  const policy::SeedManifest& manifest_;
  Unpacker unpacker_;
  std::mutex mutex_;
  std::optional<Error> failure_;  // under the mutex until all threads are joined
};

Result<void> unpack_into(const Order& order, Store& store, const Told& told, int volume) {
  if (::mkdirat(volume, kStaging, 0700) != 0) return Error::from_errno(errno, "make a folder beside the volume");
  const auto staging = open_beneath(volume, kStaging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!staging.open()) return Error::from_errno(errno, "open a folder beside the volume");
  auto done = Restoring(store, order.manifest, staging.get(), told).run();
  // Atomic, and refused by the kernel unless the volume is empty (rename(2)).
  if (done && ::renameat(volume, kStaging, volume, kData) != 0) {
    const bool full = errno == ENOTEMPTY || errno == EEXIST;
    done = full ? Error(Errc::kConflict, "the volume is not empty any more")
                : Error::from_errno(errno, "put the seed in the volume's place");
  }
  return done;
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

Result<Answer> restore(const Order& order, Store& store, const Told& told) {
  const auto volume = open_volume(order);
  if (!volume) return volume.error();
  auto done = expect_empty(volume->get(), order.volume);
  if (done) done = remove_staging(volume->get());
  if (done) done = unpack_into(order, store, told, volume->get());
  if (!done) {
    static_cast<void>(remove_staging(volume->get()));
    return std::move(done).error();
  }
  return Answer{std::nullopt, order.manifest.unpacked_bytes, order.manifest.entries};
}

Result<Answer> clean(const Order& order) {
  const auto volume = open_volume(order);
  if (!volume && volume.error().code() == Errc::kNotFound) return Answer{};
  if (!volume) return volume.error();
  auto removed = remove_staging(volume->get());
  if (!removed) return std::move(removed).error();
  return Answer{};
}

}  // namespace buildwarden::seeds
