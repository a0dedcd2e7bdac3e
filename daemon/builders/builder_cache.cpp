#include "daemon/builders/builder_cache.h"

#include <functional>
#include <memory>
#include <utility>

#include "common/format.h"
#include "daemon/builders/buildctl.h"
#include "daemon/builders/names.h"

namespace buildwarden::builders {
namespace {

constexpr Duration kUsageDeadline = std::chrono::seconds{60};
constexpr Duration kPruneDeadline = std::chrono::minutes{5};
constexpr Duration kFetchDeadline = std::chrono::minutes{30};
constexpr Duration kForgetDeadline = std::chrono::seconds{10};
constexpr Duration kDecodeDeadline = std::chrono::seconds{30};
constexpr Bytes kMostOutput = 128 * kMiB;  // 100,000 records are 35 MB
constexpr std::size_t kMostWords = 300;

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
  auto text = co_await run(*container, usage_command(), kUsageDeadline);
  if (!text) co_return std::move(text).error().with_context("listing its build cache");
  auto work = decoding(*std::move(text), &decode_usage);
  auto records = co_await parts_.workers.compute<std::vector<policy::CacheRecord>>(std::move(work), kDecodeDeadline);
  if (records) listed_in_ = *container;
  co_return std::move(records).with_context(format("the build cache of builder {}", builder_));
}

ports::Async<Bytes> BuilderCache::prune_cache(Bytes keep, Duration unused_for) {
  auto container = co_await reachable();
  if (!container) co_return std::move(container).error();
  if (*container != listed_in_) {
    co_return Error(Errc::kConflict, format("{} is another container now", real_container(builder_)));
  }
  bytes_.reset();
  auto text = co_await run(*container, prune_command(keep, unused_for), kPruneDeadline);
  if (!text) co_return std::move(text).error().with_context("pruning its build cache");
  auto work = decoding(*std::move(text), &decode_pruned);
  auto freed = co_await parts_.workers.compute<Bytes>(std::move(work), kDecodeDeadline);
  co_return std::move(freed).with_context(format("pruning the build cache of builder {}", builder_));
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
