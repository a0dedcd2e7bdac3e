#include "daemon/api/disk_plans.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <tuple>
#include <utility>

#include "daemon/api/json_parts.h"
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
constexpr std::size_t kFirstPlanned = 90;
constexpr std::size_t kLastPlanned = 10;  // the most valuable: who asks what is kept longest finds them
constexpr std::size_t kMostKept = 100;

// More than there can be: whatever may go is in it.
ports::SpaceRequest everything(const ports::DiskView& view) {
  ports::SpaceRequest request;
  for (const auto& filesystem : view.filesystems) {
    if (filesystem.gate && filesystem.reading) request.free = std::max(request.free, filesystem.reading->total);
  }
  request.wait = kPlanPatience;
  request.dry_run = true;
  request.quiet = true;
  request.list_kept = true;
  request.on_behalf_of = "a plan";
  return request;
}

// Leaves the first and the last steps; the answer: how many are left off between them.
std::size_t cut(json::array& steps) {
  if (steps.size() <= kFirstPlanned + kLastPlanned) return 0;
  const auto left_off = steps.size() - kFirstPlanned - kLastPlanned;
  const auto first = steps.begin() + static_cast<std::ptrdiff_t>(kFirstPlanned);
  steps.erase(first, first + static_cast<std::ptrdiff_t>(left_off));
  return left_off;
}

json::object kept_json(const ports::KeptThing& kept) {
  json::object object;
  object["rung"] = text(kept.rung);
  object["what"] = text(kept.what);
  object["mount"] = kept.mount.empty() ? json::value(nullptr) : json::value(text(kept.mount));
  object["size_bytes"] = kept.size;
  object["last_used_at"] = time_json(kept.last_used);
  object["reason"] = text(kept.reason);
  object["rule"] = text(kept.rule);
  return object;
}

// The largest first.
json::array largest_kept(std::vector<ports::KeptThing> kept) {
  std::sort(kept.begin(), kept.end(), [](const ports::KeptThing& one, const ports::KeptThing& other) {
    return std::tie(other.size, one.what, one.rung) < std::tie(one.size, other.what, other.rung);
  });
  if (kept.size() > kMostKept) kept.resize(kMostKept);
  json::array list;
  for (const auto& one : kept) list.push_back(kept_json(one));
  return list;
}

json::object plan_json(ports::SpaceResult result, WallTime now) {
  json::object object;
  object["planned_at"] = format_rfc3339(now);
  object["complete"] = !result.hindered;
  auto steps = std::move(space_json(result, true)["steps"].as_array());
  object["left_off"] = cut(steps);
  object["steps"] = std::move(steps);
  const auto all_kept = result.kept.size() + result.kept_left_off;
  auto kept = largest_kept(std::move(result.kept));
  object["kept_left_off"] = all_kept - kept.size();
  object["kept"] = std::move(kept);
  return object;
}

}  // namespace

asio::awaitable<Response> DiskPlans::latest() {
  const auto guard = co_await mutex_.lock();
  if (!guard) co_return problem(Error(Errc::kCancelled, "the daemon stops"));
  const auto now = context_.clock->now().boot;
  if (last_ && now - planned_ < kPlanIsFresh) co_return *last_;
  co_return co_await make();
}

asio::awaitable<Response> DiskPlans::make() {
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
  const auto first = result->steps.begin();
  plan.steps.assign(first, first + static_cast<std::ptrdiff_t>(std::min(all, kFirstPlanned)));
  plan.left_off = all - plan.steps.size();
  plan_ = std::move(plan);
  last_ = json_response(plan_json(*std::move(result), now.wall));
  planned_ = now.boot;
  co_return *last_;
}

void DiskPlans::want() {
  const auto now = context_.clock->now().boot;
  if (!tried_ || now - *tried_ >= kBetweenViews) loop_timer_.wake();
}

// A wake() that came while a plan was made is answered with that one.
asio::awaitable<void> DiskPlans::keep_planning() {
  while (!loop_timer_.stopped()) {
    co_await loop_timer_.sleep_until(LoopTimer::Instant::max());
    if (loop_timer_.stopped()) co_return;
    co_await latest();
  }
}

}  // namespace buildwarden::api
