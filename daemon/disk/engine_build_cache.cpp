#include "daemon/disk/engine_build_cache.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/format.h"
#include "daemon/disk/rules.h"

namespace buildwarden::disk {
namespace {

constexpr Bytes kSmallestChunk = 64 * kMiB;
constexpr int kChunksOfAll = 20;  // 5 % each

// "keep 1073741824 unused 14400000": the whole of a step, so that take() needs no memory of the plan.
constexpr std::string_view kKeep = "keep ";
constexpr std::string_view kUnused = " unused ";

struct Prune {
  Bytes keep = 0;
  Duration unused_for{0};
};

// The number that `text` consists of, nothing when it is something else.
std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stopped != end || number < 0) return std::nullopt;
  return number;
}

std::optional<Prune> prune_of(std::string_view id) {
  const auto middle = id.find(kUnused);
  if (id.substr(0, kKeep.size()) != kKeep || middle == std::string_view::npos) return std::nullopt;
  const auto keep = number_of(id.substr(kKeep.size(), middle - kKeep.size()));
  const auto unused = number_of(id.substr(middle + kUnused.size()));
  if (!keep || !unused) return std::nullopt;
  return Prune{*keep, Duration{*unused}};
}

policy::Candidate candidate_of(const policy::CacheStep& step, Now now) {
  policy::Candidate candidate;
  candidate.id = format("{}{}{}{}", kKeep, step.keep, kUnused, step.unused_for.count());
  candidate.name = format("{} records of the engine's build cache", step.records);
  candidate.size = step.frees;
  candidate.last_use.at = step.newest;
  // The engine keeps these times itself; whether its clock can be trusted was asked before.
  candidate.last_use.observed = std::max(Duration{0}, now.wall - step.newest);
  return candidate;
}

}  // namespace

EngineBuildCache::EngineBuildCache(Parts parts) : parts_(std::move(parts)) {}

ports::Async<std::vector<policy::Candidate>> EngineBuildCache::list(const policy::RungTurn& turn) {
  return list_steps(turn);
}

ports::Async<ports::Rung::Taken> EngineBuildCache::take(const policy::Candidate& candidate,
                                                        const policy::RungTurn& turn) {
  return prune(candidate, turn);
}

ports::Async<std::vector<policy::Candidate>> EngineBuildCache::list_steps(policy::RungTurn turn) {
  std::vector<policy::Candidate> candidates;
  if (!turn.engine_cache || !parts_.clock_is_steady()) co_return candidates;
  const auto status = parts_.engine.status();
  if (!status.up) co_return Error(Errc::kUnavailable, format("the engine is down: {}", status.reason));
  planned_on_ = status.identity;
  auto records = co_await parts_.cache.cache_records();
  if (!records) co_return std::move(records).error().with_context("list the build cache");
  Bytes total = 0;
  for (const auto& record : *records) total += record.size;
  const Now now = parts_.clock.now();
  const auto rules = eviction_rules(parts_.settings.disk, turn, parts_.in_use);
  const auto steps =
      policy::cache_steps(std::move(*records), std::max(kSmallestChunk, total / kChunksOfAll), rules, now);
  for (const auto& step : steps) candidates.push_back(candidate_of(step, now));
  co_return candidates;
}

ports::Async<ports::Rung::Taken> EngineBuildCache::prune(policy::Candidate candidate, policy::RungTurn turn) {
  Taken taken;
  const auto step = prune_of(candidate.id);
  if (!step) co_return Error(Errc::kInvalid, format("{} is not a step of this rung", candidate.id));
  const auto status = parts_.engine.status();
  if (!status.up || status.identity.id != planned_on_.id || status.identity.root_dir != planned_on_.root_dir) {
    taken.dropped = status.up ? "another engine answers now" : format("the engine went down: {}", status.reason);
    co_return taken;
  }
  // Records used since the plan move the older ones beyond `keep`: the age holds for them all the same, and so does
  // the start of the oldest job.
  auto unused_for = std::max({step->unused_for, turn.age, parts_.settings.disk.grace});
  if (const auto start = parts_.in_use.now().oldest_job_start) {
    unused_for = std::max(unused_for, std::chrono::duration_cast<Duration>(parts_.clock.now().wall - *start));
  }
  const auto reported = co_await parts_.cache.prune_cache(step->keep, unused_for);
  if (!reported && reported.error().code() != Errc::kConflict) co_return reported.error();
  if (reported) {
    taken.reported = *reported;
  } else {
    taken.dropped = format("another prune runs: {}", reported.error().message());
  }
  co_return taken;
}

}  // namespace buildwarden::disk
