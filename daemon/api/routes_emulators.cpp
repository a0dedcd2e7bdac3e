// Emulation over HTTP: how it is, and to try it now.
#include <utility>

#include "common/format.h"
#include "daemon/api/fields.h"
#include "daemon/api/json_parts.h"
#include "daemon/api/json_views.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

json::object emulator_json(const ports::EmulatorsView& view, const policy::PlatformStatus& one) {
  const auto or_null = [](const std::string& value) {
    return value.empty() ? json::value() : json::value(text(value));
  };
  const auto restored = view.restored.find(one.platform);
  json::object object;
  object["platform"] = text(one.platform);
  object["state"] = to_string(one.state);
  object["handler"] = or_null(one.handler);
  object["flags"] = or_null(one.flags);
  object["interpreter"] = or_null(one.interpreter);
  object["ours"] = one.ours;
  object["proven_at"] = time_json(one.proven_at);
  object["restored"] = restored == view.restored.end() ? 0 : restored->second;
  object["reason"] = text(one.reason);
  object["rule"] = text(one.rule);
  return object;
}

Response emulators(const ApiContext& context) {
  const auto view = context.emulators->emulators_view();
  json::object object;
  object["emulators"] = emulators_json(view);
  object["executed_at"] = time_json(view.executed_at);
  object["execution_seconds"] =
      view.executed_at ? json::value(std::chrono::duration<double>(view.execution).count()) : json::value(nullptr);
  object["image"] = view.image.empty() ? json::value(nullptr) : json::value(text(view.image));
  return json_response(object);
}

asio::awaitable<Response> execute(const ApiContext* context) {
  const auto done = co_await context->platforms->verify();
  if (!done) co_return problem(done.error());
  co_return emulators(*context);
}

// Nothing can be asked for but the execution of all.
std::optional<Response> refuse(const Request& request) {
  const auto object = parse_object(request.body);
  if (!object) return problem(object.error(), "bad_json");
  const auto mistakes = FieldReader(*object).finish();
  if (!mistakes.empty()) return bad_fields(mistakes);
  return std::nullopt;
}

asio::awaitable<Response> verify(const ApiContext& context, Operations& operations, Request request) {
  auto refused = refuse(request);
  if (refused) co_return *std::move(refused);
  Operations::Work work = [&context](const ports::Progress&) { return execute(&context); };
  auto operation = operations.start("verify", request.peer.uid, std::move(work));
  co_return co_await operations.answer(std::move(operation), context.answer_within);
}

}  // namespace

json::array emulators_json(const ports::EmulatorsView& view) {
  json::array list;
  for (const auto& one : view.emulators) list.push_back(emulator_json(view, one));
  return list;
}

void add_emulator_routes(Router& router, const ApiContext& context, Operations& operations) {
  router.add_direct("GET", "/v1/emulators", [&context](const Request&) { return emulators(context); });
  router.add("POST", "/v1/emulators/verify",
             [&context, &operations](Request request) { return verify(context, operations, std::move(request)); });
}

}  // namespace buildwarden::api
