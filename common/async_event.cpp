#include "common/async_event.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden {
namespace asio = boost::asio;

void AsyncEvent::notify_all() {
  for (auto& waiter : waiting_) {
    waiter.notified = true;
    waiter.timer.cancel();
  }
}

asio::awaitable<bool> AsyncEvent::wait(Duration at_most) {
  // Taken out however this ends: a coroutine that is destroyed while it waits runs this, too.
  struct Place {
    std::list<Waiter>& all;
    std::list<Waiter>::iterator here;
    ~Place() { all.erase(here); }
  };
  const auto executor = co_await asio::this_coro::executor;
  const Place place{waiting_, waiting_.insert(waiting_.end(), Waiter{asio::steady_timer(executor)})};
  place.here->timer.expires_after(at_most);
  co_await place.here->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return place.here->notified;
}

}  // namespace buildwarden
