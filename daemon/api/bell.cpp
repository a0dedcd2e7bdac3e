#include "daemon/api/bell.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden::api {

void Bell::ring() {
  for (auto& sleeper : sleepers_) {
    sleeper.woken = true;
    sleeper.timer.cancel();
  }
}

boost::asio::awaitable<bool> Bell::wait(Duration at_most) {
  // Taken out however this ends: a coroutine that is destroyed while it waits runs this, too.
  struct Place {
    std::list<Sleeper>& all;
    std::list<Sleeper>::iterator here;
    ~Place() { all.erase(here); }
  };
  const Place place{sleepers_, sleepers_.insert(sleepers_.end(), Sleeper{boost::asio::steady_timer(executor_)})};
  place.here->timer.expires_after(at_most);
  co_await place.here->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  co_return place.here->woken;
}

}  // namespace buildwarden::api
