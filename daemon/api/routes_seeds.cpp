#include <string>
#include <utility>

#include "common/format.h"
#include "daemon/api/access.h"
#include "daemon/api/json_views_seeds.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace asio = boost::asio;

namespace {

using SeedWork = ports::Async<ports::SeedDone> (ports::SeedControl::*)(ports::SeedRequest, ports::Progress);

std::optional<Response> read_body(const Request& request, ports::SeedRequest& into) {
  if (!is_root(request.peer)) return problem(403, "denied", "only root may have a seed saved or restored");
  const auto object = parse_object(request.body);
  if (!object) return problem(object.error(), "bad_json");
  FieldReader fields(*object);
  fields.read("dry_run", into.dry_run);
  const auto mistakes = fields.finish();
  if (!mistakes.empty()) return bad_fields(mistakes);
  return std::nullopt;
}

asio::awaitable<Response> work_on_seed(ports::SeedControl* control, SeedWork work, ports::SeedRequest request,
                                       ports::Progress progress) {
  const auto builder = request.builder;
  const auto done = co_await (control->*work)(std::move(request), std::move(progress));
  if (done) co_return json_response(seed_done_json(builder, *done));
  const auto code = done.error().code();
  if (code == Errc::kConflict) co_return problem(done.error(), "seed_busy");
  co_return problem(done.error(), code == Errc::kNotFound ? "seed_unknown" : "");
}

asio::awaitable<Response> start_seed_work(const ApiContext& context, Operations& operations, Request request,
                                          SeedWork work) {
  ports::SeedRequest wanted;
  wanted.builder = request.captured;
  if (auto refused = read_body(request, wanted)) co_return *std::move(refused);
  wanted.on_behalf_of = format("uid {}", request.peer.uid);
  Operations::Work run = [control = context.seed_control, work, wanted](ports::Progress progress) {
    return work_on_seed(control, work, wanted, std::move(progress));
  };
  auto operation = operations.start("seed", request.peer.uid, std::move(run));
  co_return co_await operations.answer(std::move(operation), context.answer_within);
}

}  // namespace

void add_seed_routes(Router& router, const ApiContext& context, Operations& operations) {
  router.add_direct("GET", "/v1/seeds",
                    [&context](const Request&) { return json_response(seeds_json(context.seeds->seeds_view())); });
  router.add("POST", "/v1/seeds/{builder}/save", [&context, &operations](Request request) {
    return start_seed_work(context, operations, std::move(request), &ports::SeedControl::save_seed);
  });
  router.add("POST", "/v1/seeds/{builder}/restore", [&context, &operations](Request request) {
    return start_seed_work(context, operations, std::move(request), &ports::SeedControl::restore_seed);
  });
}

}  // namespace buildwarden::api
