#include "daemon/builders/build_history.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace buildwarden::builders {
namespace asio = boost::asio;

namespace {

constexpr Duration kHistoriesPause =
    std::chrono::seconds{5};  // one command in a container for all leases that ended until then
constexpr int kMostDoublings = 6;

}  // namespace

BuildHistories::BuildHistories(CacheList caches, Parts parts) : caches_(std::move(caches)), parts_(parts) {}

void BuildHistories::left(const std::string& builder) {
  left_.insert(builder);
  const auto failures = failures_.find(builder);
  if (failures != failures_.end()) failures->second.pause = 0;
}

asio::awaitable<void> BuildHistories::turn() {
  const auto left = std::exchange(left_, {});
  if (parts_.settings.dry_run) co_return;
  const auto caches = caches_();
  for (auto* cache : caches) {
    const auto& builder = cache->builder();
    if (!left.contains(builder) || !parts_.handout.leases_on(builder).empty()) continue;
    if (!is_due(builder)) {
      left_.insert(builder);
      continue;
    }
    co_await learn_from(cache);
    const auto done = co_await cache->forget_builds();
    note(builder, done);
    if (done) learned_until_.erase(builder);
    if (done) continue;
    auto& failures = failures_[builder];
    failures.pause = (1 << std::min(failures.count++, kMostDoublings)) - 1;
    left_.insert(builder);
  }
}

// Also where no step was carried out: a build that found all of it in the cache has used it.
asio::awaitable<void> BuildHistories::learn_from(BuilderCache* cache) {
  if (parts_.costs == nullptr || parts_.settings.disk.rank_by != RankBy::kValue) co_return;
  auto steps = co_await cache->read_steps();
  if (!steps) co_return;
  const auto& builder = cache->builder();
  const auto known = learned_until_.find(builder);
  auto until = known == learned_until_.end() ? WallTime::min() : known->second;
  std::erase_if(*steps, [until](const policy::BuildStep& step) { return step.completed <= until; });
  auto records = co_await cache->cache_records();
  if (!records) co_return;
  for (const auto& step : *steps) until = std::max(until, step.completed);
  learned_until_[builder] = until;
  co_await parts_.costs->learn_steps(cache->builder(), *std::move(steps), *std::move(records));
}

bool BuildHistories::is_due(const std::string& builder) {
  const auto failures = failures_.find(builder);
  return failures == failures_.end() || failures->second.pause-- <= 0;
}

// A builder that is not there says so elsewhere; what it remembers lies on its volume until it is back.
void BuildHistories::note(const std::string& builder, const Result<void>& done) {
  if (done) failures_.erase(builder);
  const bool away = !done && (done.error().code() == Errc::kNotFound || done.error().code() == Errc::kUnavailable);
  if (away) return;
  auto& last = last_failures_[builder];
  const auto failure = done ? std::string() : done.error().message();
  if (std::exchange(last, failure) == failure || failure.empty()) return;
  parts_.journal.record(
      {.kind = "builder.history_kept",
       .severity = ports::Severity::kWarning,
       .reason = format("builder {} keeps the records of its builds for up to two minutes: {}", builder, failure),
       .rule = "not_deleted",
       .fields = {{"builder", builder}}});
}

asio::awaitable<void> BuildHistories::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> BuildHistories::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(kHistoriesPause);
  }
}

}  // namespace buildwarden::builders
