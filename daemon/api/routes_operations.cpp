#include <utility>

#include "common/format.h"
#include "daemon/api/access.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace asio = boost::asio;

namespace {

constexpr std::int64_t kLongestWait = 60;  // seconds

// A result may hold what a job was handed out, so it is for whoever asked for it, and for root.
bool may_see_result(const Request& request, const Operation& operation) {
  return is_root(request.peer) || (request.peer.local && request.peer.uid == operation.owner);
}

asio::awaitable<Response> operation(Operations& operations, Request request) {
  const auto wait = query_number(request, "wait", 0, kLongestWait);
  if (!wait) co_return problem(wait.error(), "bad_parameter");
  const auto found = operations.find(request.captured);
  if (!found) {
    co_return problem(404, "operation_unknown", format("there is no operation \"{}\" (any more)", request.captured));
  }
  const Duration patience = std::chrono::seconds{*wait};
  if (!found->result && *wait > 0) co_await found->done.wait(patience);
  co_return json_response(operation_json(*found, may_see_result(request, *found)));
}

}  // namespace

void add_operation_routes(Router& router, Operations& operations) {
  router.add("GET", "/v1/operations/{id}?wait",
             [&operations](Request request) { return operation(operations, std::move(request)); });
}

}  // namespace buildwarden::api
