// The reclaimer without a need: a cache that is over its share while nobody uses it, networks that are empty.
#include <chrono>
#include <utility>

#include "daemon/disk/climb.h"
#include "daemon/disk/reclaim_record.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kTurnPatience = std::chrono::minutes{1};  // for a climb under way; the next look comes by itself
constexpr Duration kLongest = std::chrono::hours{1};

}  // namespace

asio::awaitable<void> Reclaimer::collect(ports::Rung* rung, policy::RungTurn turn, std::string on_behalf_of) {
  Climb climb;
  climb.only = rung;
  climb.request.on_behalf_of = std::move(on_behalf_of);
  climb.request.on_request = false;
  climb.request.dry_run = parts_.settings.dry_run;
  climb.settle = parts_.pace.settle;
  const auto pass = co_await mutex_.lock(kTurnPatience);
  if (!pass) co_return;
  climb.until = parts_.clock.now().boot + kLongest;
  climb.settings = settings_;
  climb.seen = co_await parts_.meter.measure();
  climb.at = standing_of(climb);
  note_first(climb);
  const bool is_gentle = turn.rung <= policy::RungId::kDanglingImages;
  const bool gentle_alone = parts_.only_gentle && parts_.only_gentle();
  if (over(climb) || (gentle_alone && !is_gentle)) co_return;
  co_await run_rung(climb, *rung, std::move(turn));
  note_last(climb);
  if (!climb.result.steps.empty()) parts_.journal.record(collected_event(climb.request, climb.result, climb.at));
  discard(climb);
}

}  // namespace buildwarden::disk
