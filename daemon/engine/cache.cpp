// The engine's own build cache.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/format.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/engine.h"

namespace buildwarden::engine {
namespace {

constexpr Duration kUsageDeadline = std::chrono::seconds{60};
constexpr Duration kPruneDeadline = std::chrono::minutes{5};
constexpr Bytes kUsageLimit = 512 * kMiB;  // 100,000 records are 35 MB
constexpr Bytes kPruneLimit = 64 * kMiB;   // lists what it deleted
constexpr std::size_t kMostIds = 100;      // a call; their pattern is compiled anew for each record

Error cancelled_in_line() { return {Errc::kCancelled, "cancelled while waiting for another call to the engine"}; }

}  // namespace

ports::Async<std::vector<policy::CacheRecord>> Engine::cache_records() {
  const auto guard = co_await cache_turn_.lock();
  if (!guard) co_return cancelled_in_line();
  Call usage;
  const auto version = transport_.version().value_or(kOldestApi);  // closed: the call fails, whatever it says
  usage.target = "/system/df" + encode_query(usage_query(version));
  usage.limits.deadline = kUsageDeadline;
  usage.limits.max_body = kUsageLimit;
  auto records = co_await transport_.ask(std::move(usage), &decode_cache);
  co_return std::move(records).with_context("listing the build cache");
}

ports::Async<ports::CachePrune> Engine::prune_cache(std::vector<std::string> ids, Duration unused_for) {
  auto batches = policy::cache_id_batches(ids, kMostIds);
  if (!batches) co_return std::move(batches).error();
  ports::CachePrune done;
  done.left.insert(ids.begin(), ids.end());
  for (auto& some : *batches) {
    const auto pruned = co_await prune_some(std::move(some), unused_for);
    if (!pruned) co_return Error(pruned.error()).with_context("pruning the build cache");
    done.freed += pruned->bytes;
    for (const auto& id : pruned->ids) done.left.erase(id);
  }
  if (done.left.empty()) co_return done;
  const auto records = co_await cache_records();
  if (!records) co_return records.error();
  done.left = policy::those_left(*records, done.left);
  co_return done;
}

ports::Async<PrunedCache> Engine::prune_some(std::vector<std::string> ids, Duration unused_for) {
  const auto guard = co_await cache_turn_.lock();
  if (!guard) co_return cancelled_in_line();
  Call prune;
  prune.method = "POST";
  prune.target = "/build/prune" + encode_query(prune_query(ids, unused_for));
  prune.limits.deadline = kPruneDeadline;
  prune.limits.max_body = kPruneLimit;
  co_return co_await transport_.ask(std::move(prune), &decode_pruned);
}

}  // namespace buildwarden::engine
