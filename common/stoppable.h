// Loops that somebody else ends.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

namespace buildwarden {

// Runs `work` to its end, or until `stop` is emitted: that breaks it off wherever it waits, and is no error. What else
// it throws goes on. One at a time for each slot, which outlives it.
boost::asio::awaitable<void> run_stoppable(boost::asio::awaitable<void> work, boost::asio::cancellation_slot stop);

}  // namespace buildwarden
