#include "daemon/api/api.h"

#include <chrono>
#include <utility>

#include "common/tick.h"
#include "daemon/api/access.h"
#include "daemon/api/etag.h"
#include "daemon/api/routes.h"
#include "daemon/api/server_gzip.h"

namespace buildwarden::api {
namespace asio = boost::asio;

Api::Api(const asio::any_io_executor& executor, ApiContext context, const ApiLimits& limits)
    : context_(std::move(context)),
      limits_(limits),
      operations_(executor, {*context_.clock, *context_.operation_store}, limits.operations),
      plans_(context_),
      failures_(context_.http_failed),
      server_(executor, session_context()) {
  add_state_routes(router_, context_);
  add_page_route(router_, context_, {history_, chart_events_, plans_});
  add_builder_routes(router_, context_, operations_);
  add_seed_routes(router_, context_, operations_);
  add_emulator_routes(router_, context_, operations_);
  add_disk_routes(router_, context_, operations_, plans_);
  add_job_routes(router_, context_, operations_);
  add_event_routes(router_, context_, limits.followers);
  add_operation_routes(router_, operations_);
}

SessionContext Api::session_context() {
  SessionContext session;
  session.refuse = [this](const Request& request) { return refuse_access(request, context_); };
  session.turn_of = turn_of;
  session.handler = [this](Request request) { return handle(std::move(request)); };
  session.clock = context_.clock;
  session.limits = limits_.session;
  session.failures = &failures_;
  return session;
}

Api::~Api() {
  for (const auto& file : files_) file.remove();
}

Result<void> Api::open_unix(const std::string& path, std::optional<gid_t> group) {
  auto listener = listen_unix(path, group);
  if (!listener) return std::move(listener).error();
  files_.push_back(std::move(listener->file));
  return server_.listen(std::move(listener->descriptor), true, limits_.unix_connections);
}

Result<std::uint16_t> Api::open_tcp(const std::string& address) {
  auto listening = listen_tcp(address);
  if (!listening) return std::move(listening).error();
  auto port = port_of(listening->get());
  if (!port) return port;
  auto serving = server_.listen(*std::move(listening), false, limits_.tcp_connections);
  if (!serving) return std::move(serving).error();
  return port;
}

Result<void> Api::open_passed(UniqueFd listening, bool is_unix) {
  return server_.listen(std::move(listening), is_unix, is_unix ? limits_.unix_connections : limits_.tcp_connections);
}

// The answer's form goes by what the request says of it; the rest of the request is the handler's.
asio::awaitable<Response> Api::handle(Request request) {
  const auto began = std::chrono::steady_clock::now();
  Request form;
  form.method = request.method;
  form.path = request.path;
  form.headers = request.headers;
  auto refused = refuse_access(request, context_);
  if (refused) co_return *std::move(refused);
  auto response = co_await router_.serve(std::move(request));
  tag_for_polling(form, response);
  gzip_if_asked(form, response);
  if (context_.http_answered) {
    context_.http_answered(response.route, response.status, std::chrono::steady_clock::now() - began);
  }
  co_return response;
}

asio::awaitable<void> Api::run() {
  while (!loop_timer_.stopped()) {
    history_.sample(context_.disk->disk_view());
    chart_events_.look(*context_.events, context_.clock->now().wall);
    co_await loop_timer_.sleep_until(next_tick(std::chrono::steady_clock::now(), SpaceHistory::kEvery));
  }
}

asio::awaitable<void> Api::stop(Duration patience) {
  loop_timer_.stop();
  plans_.stop();
  for (const auto& file : files_) file.remove();
  co_await server_.stop(patience);
  co_await operations_.stop(patience);
}

}  // namespace buildwarden::api
