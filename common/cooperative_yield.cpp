#include "common/cooperative_yield.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden {
namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kTurn{1};

}  // namespace

asio::awaitable<void> CooperativeYield::yield() {
  if (std::chrono::steady_clock::now() - since_ < kTurn) co_return;
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  since_ = std::chrono::steady_clock::now();
}

}  // namespace buildwarden
