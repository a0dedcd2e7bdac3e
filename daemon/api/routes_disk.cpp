#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

#include "common/format.h"
#include "daemon/api/access.h"
#include "daemon/api/json_parts.h"
#include "daemon/api/json_views.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

constexpr std::size_t kLongestJobId = 128;

Response disk(const ApiContext& context) {
  const auto view = context.disk->disk_view();
  json::object object;
  object["filesystems"] = filesystems_json(view.filesystems);
  object["image_store"] = image_store_json(view.image_store);
  object["reclaiming"] = view.reclaiming;
  object["refused_roots"] = refused_roots_json(view.refused_roots);
  return json_response(object);
}

struct ReclaimBody {
  std::int64_t target = 0;  // 0: up to reclaim_to
  bool dry_run = false;
  std::string ending_job;  // the id of a job that asks at its end; "" = none does
};

std::optional<Response> read_body(const Request& request, ReclaimBody& into) {
  const auto object = parse_object(request.body);
  if (!object) return problem(object.error(), "bad_json");
  FieldReader fields(*object);
  fields.read("target_free_bytes", into.target, 1, std::numeric_limits<std::int64_t>::max());
  fields.read("dry_run", into.dry_run);
  fields.read("ending_job", into.ending_job, kLongestJobId);
  const auto mistakes = fields.finish();
  if (!mistakes.empty()) return bad_fields(mistakes);
  return std::nullopt;
}

// Settles the target, or refuses one that this peer may not ask for.
std::optional<Response> settle_target(const Request& request, const ports::DiskView& view, ReclaimBody& body) {
  const auto limit = reclaim_limit(view);
  if (body.target == 0) body.target = limit.value_or(0);
  if (body.target == 0) {
    return problem(503, "disk_unknown", "no filesystem that admits jobs could be measured, so there is no target");
  }
  if (is_root(request.peer)) return std::nullopt;
  if (!limit) return problem(503, "disk_unknown", "no filesystem that admits jobs could be measured");
  if (body.target <= *limit) return std::nullopt;
  return problem(403, "above_reclaim_to",
                 format("only root may ask for {} free; {} (reclaim_to) is the most for others",
                        format_bytes(body.target), format_bytes(*limit)));
}

json::object room_at_end_json(const Result<ports::RoomAtEnd>& room) {
  if (!room) return {{"enough", false}, {"reason", text(room.error().message())}};
  return {{"enough", room->enough}, {"reason", text(room->reason)}};
}

// Who makes room, and who knows of what goes when a job has ended.
struct RoomMakers {
  ports::Space* space;
  ports::EndingJobs* ending_jobs;
  std::string ending_job;
};

asio::awaitable<Response> make_room(RoomMakers makers, ports::SpaceRequest request, ports::Progress progress) {
  const bool dry_run = request.dry_run;
  const auto result = co_await makers.space->ensure(std::move(request), std::move(progress));
  if (!result) co_return problem(result.error());
  auto object = space_json(*result, dry_run);
  object["at_end"] = nullptr;
  if (!makers.ending_job.empty() && !result->reached && !dry_run) {
    const auto room = co_await makers.ending_jobs->give_up(makers.ending_job);
    object["at_end"] = room_at_end_json(room);
  }
  co_return json_response(object);
}

asio::awaitable<Response> reclaim(const ApiContext& context, Operations& operations, Request request) {
  ReclaimBody body;
  auto refused = read_body(request, body);
  if (!refused) refused = settle_target(request, context.disk->disk_view(), body);
  if (refused) co_return *std::move(refused);
  ports::SpaceRequest wanted;
  wanted.free = body.target;
  wanted.wait = context.reclaim_wait;
  wanted.on_behalf_of = format("uid {}", request.peer.uid);
  wanted.dry_run = body.dry_run || context.dry_run();
  const RoomMakers makers{context.space, context.ending_jobs, body.ending_job};
  Operations::Work work = [makers, wanted](ports::Progress progress) {
    return make_room(makers, wanted, std::move(progress));
  };
  auto operation = operations.start("reclaim", request.peer.uid, std::move(work));
  co_return co_await operations.answer(std::move(operation), context.answer_within);
}

}  // namespace

void add_disk_routes(Router& router, const ApiContext& context, Operations& operations, DiskPlans& plans) {
  router.add_direct("GET", "/v1/disk", [&context](const Request&) { return disk(context); });
  router.add("GET", "/v1/disk/plan", [&plans](const Request&) { return plans.latest(); });
  router.add("POST", "/v1/disk/reclaim",
             [&context, &operations](Request request) { return reclaim(context, operations, std::move(request)); });
}

}  // namespace buildwarden::api
