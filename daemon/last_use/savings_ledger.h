// What was saved by what was there, and what was regretted, since it had been deleted: kept over restarts.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "daemon/policy/cache_uses.h"
#include "daemon/policy/job_periods.h"
#include "daemon/policy/savings.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/worth.h"

namespace buildwarden::disk {

// Lives on the loop, from memory; the store is written behind. Until the store was read the sums are not shown, and
// what comes meanwhile is added. Must outlive its coroutines.
class SavingsLedger final : public ports::SavingsViews {
 public:
  struct Parts {
    const Clock& clock;
    ports::WorthStore& store;
  };
  explicit SavingsLedger(Parts parts) : parts_(parts) {}

  // Whose a use was is told by the jobs that ran at the time.
  void job_runs(const ports::Lease& lease);
  void job_over(const ports::Lease& lease);

  // A container was made of an image that had been there; `amount` is what it takes to get it back. Once for each job
  // that runs: a job gets an image back once, however many containers it makes of it. Where no job is known, once in
  // ten minutes.
  void image_used(const std::string& id, const policy::Amount& amount, WallTime at);
  // It came: whoever runs has paid for it. Regretted, where it had been deleted.
  void image_came(const std::string& id, WallTime at);
  void image_gone(const std::string& id) { had_by_.erase(id); }
  void image_deleted(const std::string& id, const policy::Amount& amount);

  [[nodiscard]] policy::CacheBefore cache_before(const std::string& builder) const;
  // What a look at a cache found; of one cache one after the other.
  boost::asio::awaitable<void> cache_seen(std::string builder, std::shared_ptr<const policy::CacheAccount> account);
  boost::asio::awaitable<void> cache_deleted(std::string builder, std::vector<policy::LostRecord> records);
  // Another engine: what was seen of caches and images says nothing of its own.
  void forget_sights();

  [[nodiscard]] ports::SavingsView savings_view() const override;

  boost::asio::awaitable<void> load();
  // Writes what changed.
  boost::asio::awaitable<void> flush();
  // Loads, flushes now and then, and once more after stop(), which it outlives by that one save.
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }
  // Why the last load or save failed, "" when it did not.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct HadBy {
    std::set<std::string> jobs;
    WallTime last;  // when it was counted last, or came
  };
  // What changed since the last flush, into dirty_, dirty_deleted_ and gone_.
  void gather_changes();
  void regret(policy::ThingKind kind, const std::string& key, const std::string& builder, WallTime at);
  [[nodiscard]] std::vector<ports::WorthRow> changed_rows(const std::set<policy::AccountId>& accounts,
                                                          const std::set<std::string>& deleted) const;

  Parts parts_;
  bool loaded_ = false;
  policy::Savings savings_;
  policy::Deleted deleted_;
  policy::JobPeriods jobs_;
  std::map<std::string, std::shared_ptr<const policy::CacheSight>> sights_;  // by builder
  std::map<std::string, HadBy> had_by_;                                      // by image
  std::set<policy::AccountId> dirty_;
  std::set<std::string> dirty_deleted_;  // keys
  std::set<std::string> gone_;           // ids of rows
  std::string error_;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
