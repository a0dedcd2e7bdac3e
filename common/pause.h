// A wait that nobody cuts short, between two looks at something that tells nobody when it changes.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/units.h"

namespace buildwarden {

// Exactly `time`. false: it was cut short, since the coroutine was cancelled. For loops that others wake or stop there
// is the Pacemaker.
boost::asio::awaitable<bool> pause_for(Duration time);

}  // namespace buildwarden
