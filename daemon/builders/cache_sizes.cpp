#include "daemon/builders/cache_sizes.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/beat.h"
#include "common/stoppable.h"

namespace buildwarden::builders {
namespace asio = boost::asio;

namespace {

constexpr Duration kKept = std::chrono::minutes{1};  // a command in a container costs the engine some 50 ms
constexpr Duration kAskAgain = std::chrono::seconds{10};
constexpr Duration kLook = kIdleBeat;

}  // namespace

CacheSizes::CacheSizes(const asio::any_io_executor& executor, CacheList caches, const Clock& clock)
    : caches_(std::move(caches)), clock_(clock), timer_(executor) {}

asio::awaitable<void> CacheSizes::turn() {
  const auto caches = caches_();
  for (auto* cache : caches) {
    const auto now = clock_.now().boot;
    const auto asked = asked_.find(cache);
    if (asked != asked_.end() && now - asked->second < (cache->bytes() ? kKept : kAskAgain)) continue;
    asked_[cache] = now;
    // A builder that is not there or does not answer says so elsewhere; its size is then not known.
    const auto bytes = co_await cache->measure();
    if (!bytes && bytes.error().code() == Errc::kUnavailable) co_return;
  }
}

asio::awaitable<void> CacheSizes::run() {
  if (stopping_) co_return;
  auto turns = loop();
  co_await run_stoppable(std::move(turns), cancel_.slot());
}

void CacheSizes::stop() {
  stopping_ = true;
  cancel_.emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> CacheSizes::loop() {
  while (!stopping_) {
    co_await turn();
    timer_.expires_at(wait_end(std::chrono::steady_clock::now(), kLook));
    boost::system::error_code ended;
    auto token = asio::redirect_error(asio::use_awaitable, ended);
    co_await timer_.async_wait(token);
  }
}

}  // namespace buildwarden::builders
