#include "daemon/builders/builder_cache.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "common/format.h"
#include "daemon/builders/names.h"

namespace buildwarden::builders {
namespace {

constexpr Duration kUsageDeadline = std::chrono::seconds{60};
constexpr Duration kPruneDeadline = std::chrono::minutes{5};
constexpr Duration kFetchDeadline = std::chrono::minutes{30};
constexpr Duration kForgetDeadline = std::chrono::seconds{10};
constexpr Duration kStepsDeadline = std::chrono::seconds{10};
constexpr Duration kDecodeDeadline = std::chrono::seconds{30};
constexpr Bytes kMostOutput = 128 * kMiB;  // 100,000 records are 35 MB
constexpr std::size_t kMostWords = 300;
constexpr std::size_t kMostIds = 500;  // a call; each record is compared with each of them

// What `decode` makes of `text`, on a worker; the text is freed there, too.
template <class T>
std::function<Result<T>()> decoding(std::string text, Result<T> (*decode)(std::string_view)) {
  auto shared = std::make_shared<std::string>(std::move(text));
  return [shared, decode] {
    const auto taken = std::move(*shared);
    return decode(taken);
  };
}

Result<Bytes> decode_size(std::string_view text) {
  const auto records = decode_usage(text);
  if (!records) return records.error();
  return policy::cache_bytes(*records);
}

}  // namespace

BuilderCache::BuilderCache(std::string builder, Parts parts) : builder_(std::move(builder)), parts_(parts) {}

ports::Async<std::vector<policy::CacheRecord>> BuilderCache::cache_records() {
  listed_in_.clear();
  auto container = co_await reachable();
  if (!container) co_return std::move(container).error();
  auto records = co_await list_in(*container);
  if (records) listed_in_ = *container;
  co_return std::move(records).with_context(format("the build cache of builder {}", builder_));
}

ports::Async<std::vector<policy::CacheRecord>> BuilderCache::list_in(std::string container) {
  auto text = co_await run(std::move(container), usage_command(), kUsageDeadline);
  if (!text) co_return std::move(text).error().with_context("listing its build cache");
  auto work = decoding(*std::move(text), &decode_usage);
  co_return co_await parts_.workers.compute<std::vector<policy::CacheRecord>>(std::move(work), kDecodeDeadline);
}

ports::Async<ports::CachePrune> BuilderCache::prune_cache(std::vector<std::string> ids, Duration unused_for) {
  auto batches = policy::cache_id_batches(ids, kMostIds);
  if (!batches) co_return std::move(batches).error();
  auto container = co_await reachable();
  if (!container) co_return std::move(container).error();
  if (*container != listed_in_) {
    co_return Error(Errc::kConflict, format("{} is another container now", real_container(builder_)));
  }
  bytes_.reset();
  ports::CachePrune done;
  done.left.insert(ids.begin(), ids.end());
  for (auto& some : *batches) {
    const auto pruned = co_await prune_in(*container, std::move(some), unused_for);
    if (!pruned)
      co_return Error(pruned.error()).with_context(format("pruning the build cache of builder {}", builder_));
    done.freed += pruned->bytes;
    for (const auto& id : pruned->ids) done.left.erase(id);
  }
  if (done.left.empty()) co_return done;
  const auto records = co_await list_in(*container);
  if (!records) co_return Error(records.error()).with_context(format("the build cache of builder {}", builder_));
  done.left = policy::those_left(*records, done.left);
  co_return done;
}

ports::Async<Pruned> BuilderCache::prune_in(std::string container, std::vector<std::string> ids, Duration unused_for) {
  auto text = co_await run(std::move(container), prune_command(ids, unused_for), kPruneDeadline);
  if (!text) co_return std::move(text).error();
  auto work = decoding(*std::move(text), &decode_pruned);
  co_return co_await parts_.workers.compute<Pruned>(std::move(work), kDecodeDeadline);
}

ports::Async<void> BuilderCache::fetch(std::string reference) {
  auto command = fetch_command(reference);
  if (!command) co_return std::move(command).error();
  auto container = co_await reachable();
  if (!container) co_return std::move(container).error();
  bytes_.reset();
  const auto said = co_await run(*std::move(container), *std::move(command), kFetchDeadline);
  if (!said) co_return Error(said.error()).with_context(format("fetching {}", reference));
  co_return Result<void>{};
}

ports::Async<Bytes> BuilderCache::measure() {
  const auto bytes = co_await size();
  bytes_.reset();
  if (bytes) bytes_ = *bytes;
  co_return bytes;
}

ports::Async<Bytes> BuilderCache::size() {
  auto container = co_await reachable();
  if (!container) co_return std::move(container).error();
  auto text = co_await run(*std::move(container), usage_command(), kUsageDeadline);
  if (!text) co_return std::move(text).error().with_context("measuring its build cache");
  auto work = decoding(*std::move(text), &decode_size);
  auto bytes = co_await parts_.workers.compute<Bytes>(std::move(work), kDecodeDeadline);
  co_return std::move(bytes).with_context(format("the build cache of builder {}", builder_));
}

ports::Async<void> BuilderCache::forget_builds() {
  auto container = co_await reachable();
  if (!container) co_return std::move(container).error();
  auto text = co_await run(*std::move(container), forget_command(), kForgetDeadline);
  if (!text) co_return std::move(text).error().with_context("deleting the records of its builds");
  co_return Result<void>{};
}

ports::Async<std::vector<policy::BuildStep>> BuilderCache::read_steps() {
  auto container = co_await reachable();
  if (!container) co_return std::move(container).error();
  auto text = co_await run(*std::move(container), steps_command(), kStepsDeadline);
  if (!text) co_return std::move(text).error().with_context("reading what its builds took");
  auto work = decoding(*std::move(text), &decode_steps);
  co_return co_await parts_.workers.compute<std::vector<policy::BuildStep>>(std::move(work), kDecodeDeadline);
}

ports::Async<std::string> BuilderCache::reachable() {
  const auto name = real_container(builder_);
  const auto seen = co_await parts_.containers.inspect_container(name);
  if (!seen) co_return seen.error();
  if (seen->state == policy::ContainerState::kMissing) co_return Error(Errc::kNotFound, format("there is no {}", name));
  if (!seen->ours) co_return Error(Errc::kDenied, format("{} is not ours", name));
  if (seen->state != policy::ContainerState::kRunning) {
    co_return Error(Errc::kNotFound, format("{} does not run", name));
  }
  co_return seen->id;
}

ports::Async<std::string> BuilderCache::run(std::string container, std::vector<std::string> command,
                                            Duration deadline) {
  ports::ContainerControl::ExecLimits limits;
  limits.deadline = deadline;
  limits.output = kMostOutput;
  auto ran = co_await parts_.control.exec_in_container(std::move(container), std::move(command), limits);
  const auto name = real_container(builder_);
  if (!ran) co_return std::move(ran).error().with_context(name);
  if (ran->exit_code != 0) {
    co_return Error(Errc::kIo,
                    format("{}: buildctl ended with {}: {}", name, ran->exit_code, ran->errors.substr(0, kMostWords)));
  }
  if (ran->cut) co_return Error(Errc::kTooLarge, format("{}: buildctl wrote over {}", name, format_bytes(kMostOutput)));
  co_return std::move(ran->output);
}

}  // namespace buildwarden::builders
