// The reclaimer without a need: a cache that is over its share while nobody uses it, networks that are empty.
#include <chrono>
#include <utility>

#include "daemon/reclaim/reclaim_events.h"
#include "daemon/reclaim/reclaim_run.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kTurnPatience = std::chrono::minutes{1};  // for a reclaim under way; the next look comes by itself
constexpr Duration kLongest = std::chrono::hours{1};

}  // namespace

asio::awaitable<void> Reclaimer::collect(ports::Evictor* rung, policy::RungTurn turn, std::string on_behalf_of) {
  ReclaimRun run;
  run.only = rung;
  run.request.on_behalf_of = std::move(on_behalf_of);
  run.request.on_request = false;
  run.request.dry_run = parts_.settings.dry_run;
  run.settle = parts_.pace.settle;
  const auto guard = co_await mutex_.lock(kTurnPatience);
  if (!guard) co_return;
  run.until = parts_.clock.now().boot + kLongest;
  run.settings = settings_;
  run.seen = co_await parts_.probe.measure();
  run.at = goal_status_of(run);
  note_first(run);
  const bool is_gentle = turn.rung <= policy::RungId::kDanglingImages;
  const bool gentle_alone = parts_.only_gentle && parts_.only_gentle();
  if (over(run) || (gentle_alone && !is_gentle)) co_return;
  co_await run_rung(run, *rung, std::move(turn));
  note_last(run);
  if (!run.result.steps.empty()) parts_.journal.record(collected_event(run.request, run.result, run.at));
  discard(run);
}

}  // namespace buildwarden::disk
