// GET /v1/disk/plan: what would go, in its order, and what stays, with the reasons.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>

#include "common/async_mutex.h"
#include "common/time.h"
#include "daemon/api/context.h"
#include "daemon/api/message.h"

namespace buildwarden::api {

// A plan asks the engine and the builders, and anybody may ask for one: so one is made at a time, and the last one
// serves all who asked meanwhile and who ask within some seconds. It deletes nothing and tells the journal nothing.
class DiskPlans {
 public:
  explicit DiskPlans(const ApiContext& context) : context_(context) {}  // which lives longer

  // 503: nothing could be measured, or the daemon stops.
  boost::asio::awaitable<Response> latest();

 private:
  const ApiContext& context_;
  AsyncMutex mutex_;
  std::optional<Response> last_;
  BootTime planned_{};
};

}  // namespace buildwarden::api
