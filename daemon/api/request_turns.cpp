#include "daemon/api/request_turns.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden::api {
namespace asio = boost::asio;

namespace {

// Of a turn of the loop. Root's requests take some three of them.
constexpr std::chrono::milliseconds kShort{1};
constexpr std::chrono::milliseconds kLong{3};
constexpr std::size_t kMost = 32;  // requests

}  // namespace

// Takes a waiter out however its waiting ends: a coroutine that is destroyed meanwhile runs this, too.
class RequestTurns::Leaving {
 public:
  Leaving(RequestTurns& turns, const PeerKey& who, Waiter& waiter) : turns_(turns), who_(who), waiter_(waiter) {
    turns_.waiting_[who_].push_back(&waiter_);
  }
  ~Leaving() {
    const auto found = turns_.waiting_.find(who_);
    if (waiter_.admitted || found == turns_.waiting_.end()) return;
    found->second.remove(&waiter_);
    if (found->second.empty()) turns_.waiting_.erase(found);
  }
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;

 private:
  RequestTurns& turns_;
  const PeerKey& who_;
  Waiter& waiter_;
};

asio::awaitable<bool> RequestTurns::wait(PeerKey who) {
  if (who.root) co_return true;
  if (begun_ < most_ && waiting_.empty()) {
    last_ = std::move(who);
    if (begun_++ == 0) begin_turn();
    co_return true;
  }
  Waiter waiter(executor_);
  const Leaving here(*this, who, waiter);
  waiter.timer.expires_at(std::chrono::steady_clock::time_point::max());
  co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return waiter.admitted;
}

// What is posted runs when all that is ready by now has run.
void RequestTurns::begin_turn() {
  began_ = now_();
  asio::post(executor_, [this] { end_turn(); });
}

void RequestTurns::end_turn() {
  const auto took = now_() - began_;
  if (took < kShort) most_ = std::min(most_ * 2, kMost);
  if (took > kLong) most_ = std::max<std::size_t>(most_ / 2, 1);
  for (begun_ = 0; begun_ < most_ && !waiting_.empty(); ++begun_) admit_one();
  if (begun_ > 0) begin_turn();
}

void RequestTurns::admit_one() {
  auto next = waiting_.upper_bound(last_);
  if (next == waiting_.end()) next = waiting_.begin();
  last_ = next->first;
  auto& waiter = *next->second.front();
  next->second.pop_front();
  if (next->second.empty()) waiting_.erase(next);
  waiter.admitted = true;
  waiter.timer.cancel();
}

}  // namespace buildwarden::api
