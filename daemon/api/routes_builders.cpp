#include <string>
#include <utility>

#include "common/format.h"
#include "daemon/api/access.h"
#include "daemon/api/json_views.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

Response builders(const ApiContext& context) {
  json::object object;
  object["builders"] = builders_json(context.builders->builders_view(), context.emulators->emulators_view());
  object["engine"] = engine_builder_json(context.engine->status());
  return json_response(object);
}

Response unknown_builder(const ports::BuildersView& view, const std::string& name) {
  std::string known;
  for (const auto& one : view.builders) known += (known.empty() ? "" : ", ") + one.name;
  return problem(404, "builder_unknown", format("there is no builder \"{}\"; there are: {}", name, known));
}

const ports::BuilderView* find(const ports::BuildersView& view, const std::string& name) {
  for (const auto& one : view.builders) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

Response builder(const ApiContext& context, const std::string& name) {
  const auto view = context.builders->builders_view();
  const auto* found = find(view, name);
  return found == nullptr ? unknown_builder(view, name)
                          : json_response(builder_json(*found, context.emulators->emulators_view()));
}

std::optional<Response> read_body(const Request& request, ports::Recreation& into) {
  const auto object = parse_object(request.body);
  if (!object) return problem(object.error(), "bad_json");
  FieldReader fields(*object);
  fields.read("force", into.force);
  fields.read("dry_run", into.dry_run);
  const auto mistakes = fields.finish();
  if (!mistakes.empty()) return bad_fields(mistakes);
  return std::nullopt;
}

std::optional<Response> refuse(const ApiContext& context, const Request& request, ports::Recreation& into) {
  if (!is_root(request.peer)) return problem(403, "denied", "only root may have a builder made anew");
  const auto view = context.builders->builders_view();
  if (find(view, into.builder) == nullptr) return unknown_builder(view, into.builder);
  return read_body(request, into);
}

asio::awaitable<Response> make_anew(ports::BuilderControl* control, ports::Recreation request,
                                    ports::Progress progress) {
  const auto name = request.builder;
  const auto made = co_await control->recreate(std::move(request), std::move(progress));
  if (!made) {
    const bool refused = made.error().code() == Errc::kConflict;
    co_return problem(made.error(), refused ? "builder_busy" : "");
  }
  co_return json_response(recreated_json(name, *made));
}

asio::awaitable<Response> recreate(const ApiContext& context, Operations& operations, Request request) {
  ports::Recreation wanted;
  wanted.builder = request.captured;
  if (auto refused = refuse(context, request, wanted)) co_return *std::move(refused);
  wanted.on_behalf_of = format("uid {}", request.peer.uid);
  Operations::Work work = [control = context.builder_control, wanted](ports::Progress progress) {
    return make_anew(control, wanted, std::move(progress));
  };
  auto operation = operations.start("recreate", request.peer.uid, std::move(work));
  co_return co_await operations.answer(std::move(operation), context.answer_within);
}

}  // namespace

void add_builder_routes(Router& router, const ApiContext& context, Operations& operations) {
  router.add_direct("GET", "/v1/builders", [&context](const Request&) { return builders(context); });
  router.add_direct("GET", "/v1/builders/{name}",
                    [&context](const Request& request) { return builder(context, request.captured); });
  router.add("POST", "/v1/builders/{name}/recreate",
             [&context, &operations](Request request) { return recreate(context, operations, std::move(request)); });
}

}  // namespace buildwarden::api
