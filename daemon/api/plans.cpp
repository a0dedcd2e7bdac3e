#include "daemon/api/plans.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/api/json_views.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

constexpr Duration kPlanIsFresh = std::chrono::seconds{10};
constexpr Duration kPlanPatience = std::chrono::seconds{5};  // for a reclaim that is under way
constexpr Duration kBetweenViews = std::chrono::minutes{1};

// More than there can be: whatever may go is in it.
ports::SpaceRequest everything(const ports::DiskView& view) {
  ports::SpaceRequest request;
  for (const auto& filesystem : view.filesystems) {
    if (filesystem.gate && filesystem.reading) request.free = std::max(request.free, filesystem.reading->total);
  }
  request.wait = kPlanPatience;
  request.dry_run = true;
  request.quiet = true;
  request.on_behalf_of = "a plan";
  return request;
}

json::object plan_json(const DiskPlan& plan) {
  ports::SpaceResult result;
  result.steps = plan.steps;
  json::object object;
  object["planned_at"] = format_rfc3339(plan.at);
  object["complete"] = plan.complete;
  object["steps"] = std::move(space_json(result, true)["steps"]);
  object["left_off"] = plan.left_off;
  return object;
}

}  // namespace

asio::awaitable<Response> Plans::latest() {
  const auto guard = co_await mutex_.lock();
  if (!guard) co_return problem(Error(Errc::kCancelled, "the daemon stops"));
  const auto now = context_.clock->now().boot;
  if (last_ && now - planned_ < kPlanIsFresh) co_return *last_;
  co_return co_await make();
}

asio::awaitable<Response> Plans::make() {
  tried_ = context_.clock->now().boot;
  auto request = everything(context_.disk->disk_view());
  if (request.free == 0) co_return problem(503, "disk_unknown", "no filesystem that admits jobs could be measured");
  ports::Progress nobody = [](const std::string&) {};
  auto result = co_await context_.space->ensure(std::move(request), std::move(nobody));
  if (!result) co_return problem(result.error());
  const auto now = context_.clock->now();
  DiskPlan plan;
  plan.at = now.wall;
  plan.complete = !result->hindered;
  const auto all = result->steps.size();
  if (all > kMostPlanned) result->steps.resize(kMostPlanned);
  plan.steps = std::move(result->steps);
  plan.left_off = all - plan.steps.size();
  last_ = json_response(plan_json(plan));
  plan_ = std::move(plan);
  planned_ = now.boot;
  co_return *last_;
}

void Plans::want() {
  const auto now = context_.clock->now().boot;
  if (!tried_ || now - *tried_ >= kBetweenViews) loop_timer_.wake();
}

// A wake() that came while a plan was made is answered with that one.
asio::awaitable<void> Plans::keep_planning() {
  while (!loop_timer_.stopped()) {
    co_await loop_timer_.sleep_until(LoopTimer::Instant::max());
    if (loop_timer_.stopped()) co_return;
    co_await latest();
  }
}

}  // namespace buildwarden::api
