// What would go, in its order, and what stays, with the reasons. A plan asks the engine and the builders, and anybody
// may ask for one: so one is made at a time, and the last one serves all who asked meanwhile and who ask within some
// seconds.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <vector>

#include "common/async_mutex.h"
#include "common/loop_timer.h"
#include "daemon/api/context.h"
#include "daemon/api/message.h"

namespace buildwarden::api {

struct DiskPlan {
  WallTime at;
  bool complete = true;                 // false: a rung could not be asked
  std::vector<ports::SpaceStep> steps;  // the first of them
  std::size_t left_off = 0;
};

// For the loop's thread alone.
class DiskPlans {
 public:
  explicit DiskPlans(const ApiContext& context) : context_(context) {}

  // A plan not older than ten seconds.
  boost::asio::awaitable<Response> latest();

  // Somebody looks at the page, which does not wait for a plan: one is made in the background where none was tried for
  // a minute.
  void want();
  // The last good one; it may be old when nobody looked for long.
  [[nodiscard]] const std::optional<DiskPlan>& last() const { return plan_; }

  // Makes those that are wanted, until stop().
  boost::asio::awaitable<void> run() { return loop_timer_.run(keep_planning()); }
  void stop() { loop_timer_.stop(); }

 private:
  boost::asio::awaitable<void> keep_planning();
  boost::asio::awaitable<Response> make();

  const ApiContext& context_;
  AsyncMutex mutex_;
  LoopTimer loop_timer_;
  std::optional<DiskPlan> plan_;
  std::optional<Response> last_;
  BootTime planned_{};
  std::optional<BootTime> tried_;
};

}  // namespace buildwarden::api
