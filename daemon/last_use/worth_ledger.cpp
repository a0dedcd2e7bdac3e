#include "daemon/last_use/worth_ledger.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/format.h"
#include "common/tick.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/policy/image_names.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr std::string_view kImageRow = "image ";
constexpr std::string_view kSlotRow = "slot ";
constexpr std::string_view kRegistryRow = "registry ";
constexpr int kHex = 16;
constexpr std::size_t kHexDigits = 16;

constexpr Duration kOneUse = std::chrono::seconds{5};
constexpr Duration kLearnDeadline = std::chrono::seconds{30};
constexpr std::size_t kMostPulled = 64;
constexpr std::size_t kRowsAtOnce = 1'000;

std::string image_row(const std::string& id) { return std::string(kImageRow) + id; }

std::string registry_row(const std::string& host) { return std::string(kRegistryRow) + host; }

std::string slot_row(const std::string& builder, policy::SlotId slot) {
  return format("{}{} {:016x}", kSlotRow, builder, slot);
}

struct SlotKey {
  std::string builder;
  policy::SlotId slot = 0;
};

// Nothing for what is no row of a slot.
std::optional<SlotKey> slot_of_row(std::string_view row) {
  if (!row.starts_with(kSlotRow) || row.size() < kSlotRow.size() + 1 + kHexDigits) return std::nullopt;
  const auto digits = row.substr(row.size() - kHexDigits);
  SlotKey key;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), key.slot, kHex);
  if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size() || key.slot == 0) return std::nullopt;
  const auto head = row.substr(0, row.size() - kHexDigits - 1);
  key.builder = std::string(head.substr(kSlotRow.size()));
  return key;
}

// Records and steps of one look at a cache, and what was known before it.
struct Look {
  std::string builder;
  std::vector<policy::BuildStep> steps;
  std::vector<policy::CacheRecord> records;
  WallTime now;
  bool reuse_context = false;
};
using Learned = std::shared_ptr<const policy::SlotsLearned>;

Learned learned_from(const Look& look, const policy::Slots& slots, const policy::PullRates& rates,
                     const policy::CacheBefore& before) {
  auto learned = std::make_shared<policy::SlotsLearned>(
      policy::learn_slots(slots, look.records, look.builder, look.steps, look.now));
  const policy::CacheList list(look.records);
  const policy::CacheFacts facts{look.builder, &learned->slots, &rates, look.reuse_context};
  const auto account = policy::account_for(list, policy::cache_things(list, facts), before);
  learned->account = std::make_shared<const policy::CacheAccount>(account);
  return learned;
}

}  // namespace

asio::awaitable<void> WorthLedger::connected(ports::EngineIdentity identity) {
  const auto scope = ledger_scope(identity);
  if (scope == scope_ && loaded_) co_return;
  co_await flush();
  images_.clear();
  slots_.clear();
  rates_ = policy::PullRates{};
  if (parts_.savings != nullptr && !scope_.empty()) parts_.savings->forget_sights();
  dirty_.clear();
  gone_.clear();
  scope_ = scope;
  loaded_ = false;
  const auto rows = co_await parts_.store.load_worth(scope);
  if (scope_ != scope) co_return;
  error_ = rows ? "" : rows.error().message();
  loaded_ = true;
  if (!rows) co_return;
  std::map<std::string, policy::Slots> slots;
  CooperativeYield others;
  for (const auto& row : *rows) {
    if (const auto key = slot_of_row(row.id)) {
      slots[key->builder][key->slot] = policy::Slot{row.history, row.seconds};
    } else {
      restore(row);
    }
    co_await others.yield();
    if (scope_ != scope) co_return;
  }
  // What was learned while they were loaded is newer, and the next look learns the rest again.
  for (auto& [builder, known] : slots) {
    slots_.try_emplace(builder, std::make_shared<const policy::Slots>(std::move(known)));
  }
}

void WorthLedger::restore(const ports::WorthRow& row) {
  if (row.id.starts_with(kImageRow)) {
    images_.try_emplace(row.id.substr(kImageRow.size()), Image{row.history.use, row.seconds});
  } else if (row.id.starts_with(kRegistryRow) && row.seconds && *row.seconds > 0) {
    rates_.restore(row.id.substr(kRegistryRow.size()), *row.seconds, row.history.use.last_use);
  }
}

asio::awaitable<void> WorthLedger::seen(std::shared_ptr<const std::vector<ports::ImageRecord>> images) {
  const auto now = parts_.clock.now().wall;
  const auto scope = scope_;
  const auto sources = co_await look_up_sources(images);
  if (scope != scope_) co_return;
  std::set<std::string_view> there;
  CooperativeYield others;
  for (std::size_t i = 0; i < images->size(); ++i) {
    const auto& image = (*images)[i];
    there.insert(image.id);
    const auto [at, is_new] = images_.try_emplace(image.id, Image{policy::UseHistory{now, now, 0, Duration{0}}, {}});
    if (is_new) {
      to_save(image_row(image.id));
      came(image.id, now);
    }
    if (sources) at->second.source = (*sources)[i];
    settle_pulls(image, at->second);
    co_await others.yield();
    if (scope != scope_) co_return;
  }
  for (auto at = images_.begin(); at != images_.end();) {
    const auto id = at->first;
    if (!there.contains(id)) {
      to_forget(image_row(id));
      images_.erase(at);
      if (parts_.savings != nullptr) parts_.savings->image_gone(id);
    }
    co_await others.yield();
    if (scope != scope_) co_return;
    at = images_.upper_bound(id);  // others had the loop, and may have changed the map
  }
}

void WorthLedger::to_save(std::string row) {
  gone_.erase(row);
  dirty_.insert(std::move(row));
}

void WorthLedger::to_forget(std::string row) {
  dirty_.erase(row);
  gone_.insert(std::move(row));
}

// Its size is that of all its layers: whether some of them were there before is not told, so the rate is a lower bound.
void WorthLedger::settle_pulls(const ports::ImageRecord& image, Image& known) {
  if (pulled_.empty()) return;
  for (const auto& name : image.names()) {
    const auto pull = pulled_.find(policy::normalised_reference(name));
    if (pull == pulled_.end()) continue;
    const auto seconds = std::chrono::duration<double>(pull->second).count();
    pulled_.erase(pull);
    known.seconds = seconds;
    to_save(image_row(image.id));
    const auto host = policy::registry_host(name);
    if (rates_.note(host, image.size, seconds, parts_.clock.now().wall)) to_save(registry_row(host));
  }
}

// Who pulled it has used it before it was seen: that saved nothing.
void WorthLedger::used(const std::string& id, WallTime when, bool runs) {
  const auto at = std::min(when, parts_.clock.now().wall);
  const auto [image, is_new] = images_.try_emplace(id, Image{policy::first_use(at), {}});
  auto& use = image->second.use;
  const bool is_back = std::exchange(image->second.is_deleted, false);
  if (is_new || is_back) came(id, at);
  const auto amount = runs && !is_new && !is_back && at > use.first_seen ? amount_of(image->second) : std::nullopt;
  if (amount && parts_.savings != nullptr) parts_.savings->image_used(id, *amount, at);
  const bool is_first = use.uses == 0;
  if (is_first) {
    use = policy::first_use(std::max(at, use.first_seen));
  } else if (!is_new && at - use.last_use >= kOneUse) {
    policy::note_use(use, at);
  } else if (!is_new) {
    return;
  }
  to_save(image_row(id));
}

void WorthLedger::pulled(const std::string& reference, Duration took) {
  if (pulled_.size() >= kMostPulled) pulled_.clear();  // images that never came
  pulled_[policy::normalised_reference(reference)] = took;
}

std::optional<policy::Amount> WorthLedger::amount_of(const Image& image) const {
  if (!image.source) return std::nullopt;
  const auto bytes = image.source->host.empty() ? Bytes{0} : image.source->bytes;
  return policy::amount_of(policy::image_cost(*image.source, image.seconds, rates_), bytes);
}

void WorthLedger::came(const std::string& id, WallTime at) {
  if (parts_.savings != nullptr) parts_.savings->image_came(id, at);
}

// Ten thousand images are some tens of milliseconds: on a worker. Null: nobody wants to know, or it took too long.
asio::awaitable<WorthLedger::Sources> WorthLedger::look_up_sources(
    std::shared_ptr<const std::vector<ports::ImageRecord>> images) {
  if (parts_.savings == nullptr) co_return nullptr;
  std::function<Result<Sources>()> work = [images] {
    return Result<Sources>(std::make_shared<const std::vector<policy::ImageSource>>(policy::sources_of(*images)));
  };
  const auto sources = co_await parts_.workers.compute<Sources>(std::move(work), kLearnDeadline);
  co_return sources ? *sources : nullptr;
}

// It stays known until a list is without it: one that was asked for before may still show it.
void WorthLedger::image_deleted(const std::string& id) {
  const auto image = images_.find(id);
  if (parts_.savings == nullptr || image == images_.end()) return;
  if (const auto amount = amount_of(image->second)) parts_.savings->image_deleted(id, *amount);
  image->second.is_deleted = true;
}

asio::awaitable<void> WorthLedger::cache_deleted(std::string builder, std::vector<policy::LostRecord> records) {
  if (parts_.savings != nullptr) co_await parts_.savings->cache_deleted(std::move(builder), std::move(records));
}

policy::CacheBefore WorthLedger::cache_before(const std::string& builder) const {
  return parts_.savings == nullptr ? policy::CacheBefore{} : parts_.savings->cache_before(builder);
}

// What another look learned meanwhile is learned first: nothing of either is lost.
asio::awaitable<void> WorthLedger::learn_steps(std::string builder, std::vector<policy::BuildStep> steps,
                                               std::vector<policy::CacheRecord> records) {
  if (!loaded_) co_return;
  const auto scope = scope_;
  const bool reuses = parts_.reuse_context && parts_.reuse_context();
  auto look = std::make_shared<const Look>(
      Look{builder, std::move(steps), std::move(records), parts_.clock.now().wall, reuses});
  for (;;) {
    const auto before = slots_of(builder);
    const auto seen = cache_before(builder);
    std::function<Result<Learned>()> work = [before, look, seen, rates = rates_] {
      return Result<Learned>(learned_from(*look, *before, rates, seen));
    };
    const auto learned = co_await parts_.workers.compute<Learned>(std::move(work), kLearnDeadline);
    if (!learned || scope != scope_) co_return;
    const bool is_kept = co_await keep(builder, before, *learned);
    if (is_kept) co_return;
  }
}

asio::awaitable<bool> WorthLedger::keep(std::string builder, std::shared_ptr<const policy::Slots> before,
                                        std::shared_ptr<const policy::SlotsLearned> learned) {
  if (slots_of(builder) != before) co_return false;
  const auto scope = scope_;
  slots_[builder] = std::shared_ptr<const policy::Slots>(learned, &learned->slots);
  if (parts_.savings != nullptr && learned->account) co_await parts_.savings->cache_seen(builder, learned->account);
  if (scope != scope_) co_return true;
  CooperativeYield others;
  for (const auto slot : learned->changed) {
    to_save(slot_row(builder, slot));
    co_await others.yield();
    if (scope != scope_) co_return true;
  }
  for (const auto slot : learned->forgotten) {
    to_forget(slot_row(builder, slot));
    co_await others.yield();
    if (scope != scope_) co_return true;
  }
  co_return true;
}

policy::ImageFacts WorthLedger::facts_of(const std::string& id, Now now) const {
  const auto image = images_.find(id);
  if (image == images_.end()) return policy::ImageFacts{policy::first_use(now.wall), {}};
  return policy::ImageFacts{image->second.use, image->second.seconds};
}

std::shared_ptr<const policy::Slots> WorthLedger::slots_of(const std::string& builder) const {
  static const auto none = std::make_shared<const policy::Slots>();
  const auto slots = slots_.find(builder);
  return slots == slots_.end() ? none : slots->second;
}

std::optional<ports::WorthRow> WorthLedger::row_of(const std::string& id) const {
  ports::WorthRow row;
  row.id = id;
  if (const auto key = slot_of_row(id)) {
    const auto slots = slots_of(key->builder);
    const auto slot = slots->find(key->slot);
    if (slot == slots->end()) return std::nullopt;
    row.history = slot->second.history;
    row.seconds = slot->second.seconds;
    return row;
  }
  if (id.starts_with(kImageRow)) {
    const auto image = images_.find(id.substr(kImageRow.size()));
    if (image == images_.end()) return std::nullopt;
    row.history.use = image->second.use;
    row.seconds = image->second.seconds;
    return row;
  }
  const auto rate = rates_.all().find(std::string_view(id).substr(kRegistryRow.size()));
  if (rate == rates_.all().end()) return std::nullopt;
  row.history.use.last_use = rate->second.at;
  row.seconds = rate->second.bytes_per_second;
  return row;
}

// Why it failed, "" when it did not.
asio::awaitable<std::string> WorthLedger::save_rows(std::string scope, std::set<std::string> ids) {
  std::vector<ports::WorthRow> rows;
  CooperativeYield others;
  for (const auto& id : ids) {
    auto row = row_of(id);
    if (row) rows.push_back(*std::move(row));
    co_await others.yield();
    if (scope != scope_) co_return "another engine answers now";
    if (rows.size() < kRowsAtOnce && id != *ids.rbegin()) continue;
    auto part = std::exchange(rows, {});
    const auto saved = co_await parts_.store.save_worth(scope, std::move(part));
    if (!saved) co_return saved.error().message();
  }
  co_return "";
}

asio::awaitable<void> WorthLedger::flush() {
  if (scope_.empty() || !loaded_) co_return;
  const auto scope = scope_;
  auto dirty = std::exchange(dirty_, {});
  auto gone = std::exchange(gone_, {});
  std::string failure;
  if (!dirty.empty()) failure = co_await save_rows(scope, dirty);
  if (!gone.empty() && failure.empty()) {
    std::vector<std::string> ids(gone.begin(), gone.end());
    const auto forgotten = co_await parts_.store.forget_worth(scope, std::move(ids));
    if (!forgotten) failure = forgotten.error().message();
  }
  error_ = failure;
  if (failure.empty() || scope != scope_) co_return;
  // What became of a row meanwhile is newer.
  std::erase_if(dirty, [this](const std::string& row) { return gone_.contains(row); });
  std::erase_if(gone, [this](const std::string& row) { return dirty_.contains(row); });
  dirty_.merge(dirty);
  gone_.merge(gone);
}

asio::awaitable<void> WorthLedger::run() {
  while (!loop_timer_.stopped()) {
    co_await loop_timer_.sleep_until(next_tick(std::chrono::steady_clock::now(), kIdleTick));
    if (!loop_timer_.stopped()) co_await flush();
  }
  co_await flush();
}

}  // namespace buildwarden::disk
