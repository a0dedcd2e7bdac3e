// What is learned of what things cost and how often they are needed: who tells it, and where it is kept.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/policy/build_steps.h"
#include "daemon/policy/cache_uses.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/policy/savings.h"
#include "daemon/policy/slots.h"
#include "daemon/policy/worth.h"
#include "daemon/policy/worth_inputs.h"
#include "daemon/ports/engine.h"

namespace buildwarden::ports {

// A row as the store keeps it: of an image, of a slot of a build cache, or of a registry; or an amount of what was
// saved, regretted or deleted (savings_rows.h).
struct WorthRow {
  std::string id;  // what it is of, and which: never shown, never from a request
  policy::SlotHistory history{};
  std::optional<double> seconds{};  // seen; of a registry the bytes a second
};

class WorthStore {
 public:
  virtual ~WorthStore() = default;
  // All rows of one engine (`scope` = id + root dir). An empty store is empty, not an error.
  virtual Async<std::vector<WorthRow>> load_worth(std::string scope) = 0;
  // Inserts or replaces; batched, never waited for by a decision.
  virtual Async<void> save_worth(std::string scope, std::vector<WorthRow> rows) = 0;
  virtual Async<void> forget_worth(std::string scope, std::vector<std::string> ids) = 0;
};

// Who learns what builds and pulls cost. Called on the loop.
class CostLearner {
 public:
  virtual ~CostLearner() = default;
  // The steps of builds on `builder` that ended since the last call, and its cache as it was listed after them.
  virtual boost::asio::awaitable<void> learn_steps(std::string builder, std::vector<policy::BuildStep> steps,
                                                   std::vector<policy::CacheRecord> records) = 0;
  // The engine pulled `reference` for us, and nothing of it was there before.
  virtual void pulled(const std::string& reference, Duration took) = 0;
};

// Who ranks by it. Used on the loop.
class LearnedWorth {
 public:
  virtual ~LearnedWorth() = default;
  // What is known of an image; of one that was never seen: used now, once.
  [[nodiscard]] virtual policy::ImageFacts facts_of(const std::string& id, Now now) const = 0;
  // Of a builder's cache; never null. As it is now: a copy that stays as it is.
  [[nodiscard]] virtual std::shared_ptr<const policy::Slots> slots_of(const std::string& builder) const = 0;
  [[nodiscard]] virtual const policy::PullRates& rates() const = 0;
  // What a look at a cache has to be compared with.
  [[nodiscard]] virtual policy::CacheBefore cache_before(const std::string& builder) const = 0;
  // What a look at a cache learned on the ground of `before`, which slots_of() gave. false: another look came between,
  // and nothing of this one is kept.
  virtual boost::asio::awaitable<bool> keep(std::string builder, std::shared_ptr<const policy::Slots> before,
                                            std::shared_ptr<const policy::SlotsLearned> learned) = 0;
};

// Who is told what was deleted to make room, so that it shows when that was a mistake. Called on the loop.
class DeletionWitness {
 public:
  virtual ~DeletionWitness() = default;
  virtual void image_deleted(const std::string& id) = 0;
  virtual boost::asio::awaitable<void> cache_deleted(std::string builder, std::vector<policy::LostRecord> records) = 0;
};

// What was saved and what was regretted, of one kind of thing.
struct SavingsOfKind {
  policy::ThingKind kind = policy::ThingKind::kImage;
  struct Sums {
    policy::Amount total;  // since the first start
    policy::Amount today;  // since midnight, UTC
  };
  Sums saved;
  Sums regretted;
};

struct SavingsView {
  // Nothing until what was kept is loaded: sums that begin anew with each start would be taken for less.
  std::optional<std::vector<SavingsOfKind>> host;               // of images and of caches
  std::map<std::string, std::vector<SavingsOfKind>> pipelines;  // of what can be told to be of one; the same
};

class SavingsViews {
 public:
  virtual ~SavingsViews() = default;
  [[nodiscard]] virtual SavingsView savings_view() const = 0;
};

}  // namespace buildwarden::ports
