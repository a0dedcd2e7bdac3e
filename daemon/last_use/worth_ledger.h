// What was learned of what is on the disk: what it cost to make or to pull, and how often it is needed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "daemon/last_use/savings_ledger.h"
#include "daemon/policy/savings.h"
#include "daemon/policy/slots.h"
#include "daemon/policy/worth_inputs.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/worth.h"

namespace buildwarden::disk {

// Lives on the loop, from memory; the store is written behind. A store that fails costs nothing but the memory of
// earlier starts. Bounded: of images that are gone nothing is kept, of slots and registries so much as policy says.
// Facts hold for one engine and one data root. Must outlive its coroutines.
class WorthLedger final : public ports::CostLearner, public ports::LearnedWorth, public ports::DeletionWitness {
 public:
  struct Parts {
    const Clock& clock;
    ports::WorthStore& store;
    WorkerPool& workers;                    // a hundred thousand records take longer than the loop may be kept
    SavingsLedger* savings = nullptr;       // told each use, arrival and deletion; nothing: nobody wants to know
    std::function<bool()> reuse_context{};  // jobs.reuse_context, now; may be empty: no
  };
  explicit WorthLedger(Parts parts) : parts_(std::move(parts)) {}

  // The engine is reached. Another scope: its rows are loaded, and the old ones stay in the store.
  boost::asio::awaitable<void> connected(ports::EngineIdentity identity);
  // The engine's images, all of them: new ones are seen from now on, those that are gone are forgotten.
  boost::asio::awaitable<void> seen(std::shared_ptr<const std::vector<ports::ImageRecord>> images);
  // An image was used: by a container that was made of it, or by who pulled, built, tagged, pushed or saved it. What
  // follows within seconds (a pull and the container that it was for) is the same use. `runs`: a container was made of
  // it, now; had it not been there, it would have had to come.
  void used(const std::string& id, WallTime when, bool runs = false);
  // A cache was listed; `builder` as in policy::Thing.
  boost::asio::awaitable<void> learn_steps(std::string builder, std::vector<policy::BuildStep> steps,
                                           std::vector<policy::CacheRecord> records) override;
  boost::asio::awaitable<bool> keep(std::string builder, std::shared_ptr<const policy::Slots> before,
                                    std::shared_ptr<const policy::SlotsLearned> learned) override;
  [[nodiscard]] policy::CacheBefore cache_before(const std::string& builder) const override;
  void image_deleted(const std::string& id) override;
  boost::asio::awaitable<void> cache_deleted(std::string builder, std::vector<policy::LostRecord> records) override;
  // By its image in the next list, which tells how large it is.
  void pulled(const std::string& reference, Duration took) override;

  [[nodiscard]] policy::ImageFacts facts_of(const std::string& id, Now now) const override;
  [[nodiscard]] std::shared_ptr<const policy::Slots> slots_of(const std::string& builder) const override;
  [[nodiscard]] const policy::PullRates& rates() const override { return rates_; }

  // Writes what changed.
  boost::asio::awaitable<void> flush();
  // Flushes now and then, and once more after stop(), which it outlives by that one save.
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }
  // Why the last load or save failed, "" when it did not.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct Image {
    policy::UseHistory use;
    std::optional<double> seconds;
    std::optional<policy::ImageSource> source{};  // nothing until a list had it
    bool is_deleted = false;                      // by us: who uses it next got it back
  };
  // Nothing where that is not known.
  [[nodiscard]] std::optional<policy::Amount> amount_of(const Image& image) const;
  void came(const std::string& id, WallTime at);
  using Sources = std::shared_ptr<const std::vector<policy::ImageSource>>;
  boost::asio::awaitable<Sources> look_up_sources(std::shared_ptr<const std::vector<ports::ImageRecord>> images);
  void restore(const ports::WorthRow& row);
  void settle_pulls(const ports::ImageRecord& image, Image& known);
  // By the next flush; the last word on a row counts.
  void to_save(std::string row);
  void to_forget(std::string row);
  [[nodiscard]] std::optional<ports::WorthRow> row_of(const std::string& id) const;
  boost::asio::awaitable<std::string> save_rows(std::string scope, std::set<std::string> rows);

  Parts parts_;
  std::string scope_;
  bool loaded_ = false;
  std::map<std::string, Image> images_;                                // by id
  std::map<std::string, std::shared_ptr<const policy::Slots>> slots_;  // by builder
  policy::PullRates rates_;
  std::map<std::string, Duration> pulled_;  // by normalised reference: no list had them yet
  std::set<std::string> dirty_;             // ids of rows
  std::set<std::string> gone_;              // the same; none of them is dirty
  std::string error_;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
