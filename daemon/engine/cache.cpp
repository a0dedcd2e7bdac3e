// The engine's own build cache.
#include <utility>

#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/engine.h"

namespace buildwarden::engine {
namespace {

constexpr Duration kUsageDeadline = std::chrono::seconds{60};
constexpr Duration kPruneDeadline = std::chrono::minutes{5};
constexpr Bytes kUsageLimit = 512 * kMiB;  // 100,000 records are 35 MB
constexpr Bytes kPruneLimit = 64 * kMiB;   // lists what it deleted

Error cancelled_in_line() { return {Errc::kCancelled, "cancelled while waiting for another call to the engine"}; }

}  // namespace

ports::Async<std::vector<policy::CacheRecord>> Engine::cache_records() {
  const auto pass = co_await cache_turn_.enter();
  if (!pass) co_return cancelled_in_line();
  Call usage;
  const auto version = transport_.version().value_or(kOldestApi);  // closed: the call fails, whatever it says
  usage.target = "/system/df" + encode_query(usage_query(version));
  usage.limits.deadline = kUsageDeadline;
  usage.limits.max_body = kUsageLimit;
  auto records = co_await transport_.ask(std::move(usage), &decode_cache);
  co_return std::move(records).with_context("listing the build cache");
}

ports::Async<Bytes> Engine::prune_cache(Bytes keep, Duration unused_for) {
  const auto pass = co_await cache_turn_.enter();
  if (!pass) co_return cancelled_in_line();
  Call prune;
  const auto version = transport_.version().value_or(kOldestApi);
  prune.method = "POST";
  prune.target = "/build/prune" + encode_query(prune_query(version, keep, unused_for));
  prune.limits.deadline = kPruneDeadline;
  prune.limits.max_body = kPruneLimit;
  auto freed = co_await transport_.ask(std::move(prune), &decode_pruned);
  co_return std::move(freed).with_context("pruning the build cache");
}

}  // namespace buildwarden::engine
