#include "daemon/last_use/savings_ledger.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/tick.h"
#include "daemon/last_use/savings_rows.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr const char* kSavingsScope = "savings";  // of the host, whichever engine it has
constexpr Duration kOneNeed = std::chrono::minutes{10};
constexpr std::size_t kMostGone = 2 * policy::Deleted::kMost;  // rows that wait to be deleted

policy::JobPeriods::Period period_of(const ports::Lease& lease) {
  policy::JobPeriods::Period period;
  period.job = lease.id;
  period.pipeline = lease.pipeline;
  period.builders = lease.builders;
  period.from = lease.started_wall;
  return period;
}

ports::SavingsOfKind& kind_in(std::vector<ports::SavingsOfKind>& kinds, policy::ThingKind kind) {
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [kind](const ports::SavingsOfKind& one) { return one.kind == kind; });
  return found == kinds.end() ? kinds.front() : *found;
}

std::vector<ports::SavingsOfKind> no_savings() {
  std::vector<ports::SavingsOfKind> kinds(2);
  kinds[0].kind = policy::ThingKind::kImage;
  kinds[1].kind = policy::ThingKind::kCache;
  return kinds;
}

}  // namespace

void SavingsLedger::job_runs(const ports::Lease& lease) { jobs_.runs(period_of(lease)); }

void SavingsLedger::job_over(const ports::Lease& lease) { jobs_.ended(lease.id, parts_.clock.now().wall); }

void SavingsLedger::image_used(const std::string& id, const policy::Amount& amount, WallTime at) {
  auto& had = had_by_[id];
  const auto running = jobs_.jobs_at(at);
  if (running.empty()) {
    if (at - had.last < kOneNeed) return;
  } else {
    const std::set<std::string> now(running.begin(), running.end());
    std::erase_if(had.jobs, [&now](const std::string& job) { return !now.contains(job); });
    const bool is_new =
        std::any_of(now.begin(), now.end(), [&had](const std::string& job) { return !had.jobs.contains(job); });
    if (!is_new) return;
    // Whose container it is nobody says: it counts once for all that run, since one pull would have served them all.
    had.jobs.insert(now.begin(), now.end());
  }
  had.last = std::max(had.last, at);
  const policy::AccountId account{jobs_.pipeline_at(at, ""), policy::Account::kSaved, policy::ThingKind::kImage};
  savings_.note(account, amount, at);
}

void SavingsLedger::image_came(const std::string& id, WallTime at) {
  auto& had = had_by_[id];
  const auto running = jobs_.jobs_at(at);
  had.jobs.insert(running.begin(), running.end());
  had.last = std::max(had.last, at);
  regret(policy::ThingKind::kImage, policy::image_key(id), "", at);
}

void SavingsLedger::image_deleted(const std::string& id, const policy::Amount& amount) {
  auto key = policy::image_key(id);
  deleted_.note(key, amount, parts_.clock.now().wall);
  dirty_deleted_.insert(std::move(key));
}

void SavingsLedger::regret(policy::ThingKind kind, const std::string& key, const std::string& builder, WallTime at) {
  const auto amount = deleted_.made_again(key, at);
  if (amount) savings_.note({jobs_.pipeline_at(at, builder), policy::Account::kRegretted, kind}, *amount, at);
}

policy::CacheBefore SavingsLedger::cache_before(const std::string& builder) const {
  policy::CacheBefore before;
  const auto sight = sights_.find(builder);
  if (sight != sights_.end()) before.sight = sight->second;
  before.deleted = deleted_.slots_of(builder);
  return before;
}

asio::awaitable<void> SavingsLedger::cache_seen(std::string builder,
                                                std::shared_ptr<const policy::CacheAccount> account) {
  const auto now = parts_.clock.now().wall;
  sights_[builder] = account->sight;
  CooperativeYield others;
  for (const auto& [when, amount] : account->saved) {
    const auto at = std::min(when, now);
    const auto pipeline = jobs_.pipeline_at(at, builder);
    savings_.note({pipeline, policy::Account::kSaved, policy::ThingKind::kCache}, amount, at);
    co_await others.yield();
  }
  for (const auto& [slot, when] : account->remade) {
    regret(policy::ThingKind::kCache, policy::cache_key(builder, slot), builder, std::min(when, now));
    co_await others.yield();
  }
}

asio::awaitable<void> SavingsLedger::cache_deleted(std::string builder, std::vector<policy::LostRecord> records) {
  const auto now = parts_.clock.now().wall;
  CooperativeYield others;
  for (const auto& record : records) {
    auto key = policy::cache_key(builder, record.slot);
    deleted_.note(key, record.amount, now);
    dirty_deleted_.insert(std::move(key));
    co_await others.yield();
  }
}

void SavingsLedger::forget_sights() {
  sights_.clear();
  had_by_.clear();
}

ports::SavingsView SavingsLedger::savings_view() const {
  ports::SavingsView view;
  if (!loaded_) return view;
  const auto now = parts_.clock.now().wall;
  view.host = no_savings();
  for (const auto& [id, row] : savings_.rows()) {
    if (!id.pipeline.empty()) view.pipelines.try_emplace(id.pipeline, no_savings());
    auto& kind = kind_in(id.pipeline.empty() ? *view.host : view.pipelines[id.pipeline], id.kind);
    auto& sums = id.account == policy::Account::kSaved ? kind.saved : kind.regretted;
    sums = {row.total, policy::Savings::today(row, now)};
  }
  return view;
}

asio::awaitable<void> SavingsLedger::load() {
  if (loaded_) co_return;
  const auto rows = co_await parts_.store.load_worth(kSavingsScope);
  error_ = rows ? "" : rows.error().message();
  if (!rows || loaded_) co_return;
  std::map<policy::AccountId, policy::AccountRow> accounts;
  CooperativeYield others;
  for (const auto& row : *rows) {
    const auto of = savings_row_of(row.id);
    const auto amount = amount_of_row(row);
    const auto last = row.history.use.last_use;
    if (of.total) accounts[*of.total].total = amount;
    if (of.total) accounts[*of.total].last = last;
    if (of.day) accounts[*of.day].of_day = amount;
    if (of.deleted && !deleted_.all().contains(*of.deleted)) deleted_.note(*of.deleted, amount, last);
    co_await others.yield();
  }
  for (const auto& [id, account] : accounts) savings_.restore(id, account);
  savings_.bound_time(parts_.clock.now().wall);
  loaded_ = true;
}

std::vector<ports::WorthRow> SavingsLedger::changed_rows(const std::set<policy::AccountId>& accounts,
                                                         const std::set<std::string>& deleted) const {
  std::vector<ports::WorthRow> rows;
  for (const auto& id : accounts) {
    const auto row = savings_.rows().find(id);
    if (row == savings_.rows().end()) continue;
    rows.push_back(amount_row(total_row_id(id), row->second.total, row->second.last));
    rows.push_back(amount_row(day_row_id(id), row->second.of_day, row->second.last));
  }
  for (const auto& key : deleted) {
    const auto entry = deleted_.all().find(key);
    if (entry != deleted_.all().end())
      rows.push_back(amount_row(deleted_row_id(key), entry->second.amount, entry->second.at));
  }
  return rows;
}

// Bounded also while nothing can be read or written. What stays in the database is forgotten after the next load.
void SavingsLedger::gather_changes() {
  const auto now = parts_.clock.now().wall;
  savings_.bound_time(now);
  auto changes = savings_.take_changes();
  dirty_.merge(changes.changed);
  for (const auto& id : changes.forgotten) {
    gone_.insert(total_row_id(id));
    gone_.insert(day_row_id(id));
  }
  for (const auto& key : deleted_.forget(now)) gone_.insert(deleted_row_id(key));
  std::erase_if(dirty_deleted_, [this](const std::string& key) { return !deleted_.all().contains(key); });
  while (gone_.size() > kMostGone) gone_.erase(gone_.begin());
}

asio::awaitable<void> SavingsLedger::flush() {
  gather_changes();
  if (!loaded_) co_return;
  auto dirty = std::exchange(dirty_, {});
  auto deleted = std::exchange(dirty_deleted_, {});
  auto rows = changed_rows(dirty, deleted);
  for (const auto& row : rows) gone_.erase(row.id);
  auto gone = std::exchange(gone_, {});
  std::string failure;
  if (!rows.empty()) {
    const auto saved = co_await parts_.store.save_worth(kSavingsScope, std::move(rows));
    if (!saved) failure = saved.error().message();
  }
  if (!gone.empty() && failure.empty()) {
    std::vector<std::string> ids(gone.begin(), gone.end());
    const auto forgotten = co_await parts_.store.forget_worth(kSavingsScope, std::move(ids));
    if (!forgotten) failure = forgotten.error().message();
  }
  error_ = failure;
  if (failure.empty()) co_return;
  dirty_.merge(dirty);
  dirty_deleted_.merge(deleted);
  gone_.merge(gone);
}

asio::awaitable<void> SavingsLedger::run() {
  while (!loop_timer_.stopped()) {
    co_await load();
    co_await loop_timer_.sleep_until(next_tick(std::chrono::steady_clock::now(), kIdleTick));
    if (!loop_timer_.stopped()) co_await flush();
  }
  co_await flush();
}

}  // namespace buildwarden::disk
