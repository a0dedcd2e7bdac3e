// For long work that must stay on the loop: lets others run when it had the loop for too long.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>

namespace buildwarden {

// Asked in each round of the work; what the work looks at may have changed when the answer comes.
class CooperativeYield {
 public:
  // Goes to the end of the loop's queue when a millisecond has passed since the last time, else returns at once.
  boost::asio::awaitable<void> yield();

 private:
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace buildwarden
