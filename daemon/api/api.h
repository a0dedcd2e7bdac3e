// The HTTP API of the daemon: routes over the rooms' views, on a unix socket and on TCP.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/loop_timer.h"
#include "daemon/api/chart_events.h"
#include "daemon/api/context.h"
#include "daemon/api/disk_plans.h"
#include "daemon/api/operations.h"
#include "daemon/api/router.h"
#include "daemon/api/server.h"
#include "daemon/api/space_history.h"

namespace buildwarden::api {

struct ApiLimits {
  SessionLimits session;
  OperationLimits operations;
  // Connections at once, by kind of listener: those of TCP never take the places of the unix socket's.
  QuotaLimits unix_connections{256, 128, 64};
  QuotaLimits tcp_connections{256, 192, 0};
  QuotaLimits followers{48, 16, 8};  // of the events
};

// For the loop's thread alone. co_await stop() before destroying it, and while what the context points to still works.
class Api {
 public:
  Api(const boost::asio::any_io_executor& executor, ApiContext context, const ApiLimits& limits = {});
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Brings back the operations that the daemon before this one told of. Once, before anything is answered.
  void restore() { operations_.restore(); }

  // Answers on `path` from now on; see listen_unix() for the errors. The file is removed by stop().
  Result<void> open_unix(const std::string& path, std::optional<gid_t> group);

  // Answers on "127.0.0.1:9847" from now on and says at which port; see listen_tcp().
  Result<std::uint16_t> open_tcp(const std::string& address);

  // Answers on a listening socket that another process opened (systemd) from now on; its file is not ours to remove.
  Result<void> open_passed(UniqueFd listening, bool is_unix);

  // Every route as "GET /v1/jobs/{id}".
  [[nodiscard]] std::vector<std::string> route_names() const { return router_.names(); }

  // One request, as the server hands it in when refuse_access() had nothing against it. Public for tests.
  boost::asio::awaitable<Response> handle(Request request);

  // Keeps the history of free space, until stop() begins.
  boost::asio::awaitable<void> run();
  // Makes the plans that the page shows, while somebody looks at it; the same.
  boost::asio::awaitable<void> keep_planning() { return plans_.run(); }

  // Takes nothing new and removes the socket files; streams end, running requests and operations may finish for
  // `patience`, then they are cancelled.
  boost::asio::awaitable<void> stop(Duration patience);

 private:
  [[nodiscard]] SessionContext session_context();

  ApiContext context_;
  ApiLimits limits_;
  Operations operations_;
  SpaceHistory history_;
  ChartEvents chart_events_;
  DiskPlans plans_;
  LoopTimer loop_timer_;  // of the history
  Router router_;
  FailureLog failures_;
  Server server_;
  std::vector<SocketFile> files_;
};

}  // namespace buildwarden::api
