// A store into an empty volume.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>

#include "common/beneath.h"
#include "common/format.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"
#include "daemon/seeds/tasks.h"
#include "daemon/seeds/unpacker.h"

namespace buildwarden::seeds {
namespace {

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
      threads.emplace_back([this, at] { take(at); });
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
    const auto done = read(at);
    if (done) return;
    const std::lock_guard lock(mutex_);
    // The first counts: the others follow from it.
    if (!failure_) failure_ = Error(done.error()).with_context(format("part {}", at));
    unpacker_.give_up();
  }

  Result<void> read(std::size_t at) {
    const auto& part = manifest_.parts[at];
    auto stream = store_.read_part(part.name);
    if (!stream) return std::move(stream).error();
    const auto got = at == 0 ? unpacker_.folders((*stream)->descriptor()) : unpacker_.files((*stream)->descriptor());
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
