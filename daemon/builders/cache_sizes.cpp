#include "daemon/builders/cache_sizes.h"

#include <utility>

#include "common/tick.h"

namespace buildwarden::builders {
namespace asio = boost::asio;

namespace {

constexpr Duration kSizesKept = std::chrono::minutes{1};  // a command in a container costs the engine some 50 ms
constexpr Duration kUnknownSizeAgain = std::chrono::seconds{10};
constexpr Duration kSizesPause = kIdleTick;

}  // namespace

CacheSizes::CacheSizes(CacheList caches, const Clock& clock) : caches_(std::move(caches)), clock_(clock) {}

asio::awaitable<void> CacheSizes::turn() {
  const auto caches = caches_();
  for (auto* cache : caches) {
    const auto now = clock_.now().boot;
    const auto asked = asked_.find(cache);
    if (asked != asked_.end() && now - asked->second < (cache->bytes() ? kSizesKept : kUnknownSizeAgain)) continue;
    asked_[cache] = now;
    // A builder that is not there or does not answer says so elsewhere; its size is then not known.
    const auto bytes = co_await cache->measure();
    if (!bytes && bytes.error().code() == Errc::kUnavailable) co_return;
  }
}

asio::awaitable<void> CacheSizes::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> CacheSizes::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(kSizesPause);
  }
}

}  // namespace buildwarden::builders
