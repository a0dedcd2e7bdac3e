// A loop that outlives what its handlers throw.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <string_view>

namespace buildwarden {

// Runs `loop` until it is out of work. What leaves a handler as an exception is given to `report`, and the loop goes on
// with what is queued behind it: run() may be called again after that (Asio, "Effect of exceptions thrown from
// handlers"). The coroutine or operation that threw is destroyed, so what it held must be let go of by destructors.
void run_guarded(boost::asio::io_context& loop, const std::function<void(std::string_view what)>& report);

}  // namespace buildwarden
