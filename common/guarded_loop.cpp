#include "common/guarded_loop.h"

#include <exception>

namespace buildwarden {

void run_guarded(boost::asio::io_context& loop, const std::function<void(std::string_view what)>& report) {
  for (;;) {
    try {
      loop.run();
      return;
    } catch (const std::exception& error) {
      report(error.what());
    } catch (...) {
      report("something that is no std::exception");
    }
  }
}

}  // namespace buildwarden
