#include "daemon/policy/worth_inputs.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

#include "common/format.h"
#include "daemon/policy/layers.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;

// What a build makes of bytes, where nobody saw it: a step takes a second whatever it writes.
constexpr double kBuiltBytesPerSecond = 50.0 * kMiB;
constexpr double kLeastOfAStep = 1;
constexpr double kLeastOfAClone = 1;
constexpr Duration kLongestStep = hours{1};  // what was used once only so much later says nothing of its step
constexpr std::string_view kPulled = "pulled from ";
constexpr std::string_view kContextType = "source.local";

double over(Bytes bytes, double rate) { return static_cast<double>(std::max<Bytes>(bytes, 0)) / std::max(rate, 1.0); }

bool comes_from_elsewhere(const CacheRecord& record) {
  return record.type == "source.git" || record.type == "source.http" || record.type == "exec.cachemount" ||
         record.type == kContextType;
}

double estimate(const CacheRecord& record, const PullRates& rates) {
  if (record.description.starts_with(kPulled)) {
    return over(record.size, rates.of(registry_host(std::string_view(record.description).substr(kPulled.size()))));
  }
  if (comes_from_elsewhere(record)) return over(record.size, rates.of(""));
  const auto until_use = record.last_used - record.created;
  const bool tells = record.uses == 1 && until_use > Duration{0} && until_use <= kLongestStep;
  if (tells) return std::chrono::duration<double>(until_use).count();
  return kLeastOfAStep + over(record.size, kBuiltBytesPerSecond);
}

UseHistory use_of(const CacheRecord& record, WallTime used) {
  const bool has_begin = record.created != WallTime{} && record.created <= used;
  auto use = first_use(has_begin ? record.created : used);
  if (used > use.last_use) note_use(use, used, std::max<std::uint64_t>(record.uses, 1));
  return use;
}

// Of each image the one that it is built on: the nearest below of which there is one; its own index where none is.
template <class Image>
std::vector<std::size_t> bases_of(const std::vector<Image>& images) {
  std::vector<const LayerChain*> chains;
  chains.reserve(images.size());
  for (const auto& image : images) chains.push_back(&image.layers);
  const LayerTree tree(chains);
  const auto& nodes = tree.nodes();
  std::vector<std::size_t> nearest(nodes.size(), images.size());  // image at the node or below
  for (std::size_t at = 1; at < nodes.size(); ++at) {
    nearest[at] = nodes[at].images.empty() ? nearest[nodes[at].below] : nodes[at].images.front();
  }
  std::vector<std::size_t> bases(images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto top = tree.top_of(i);
    const auto below = top == 0 ? images.size() : nearest[nodes[top].below];
    bases[i] = below == images.size() ? i : below;
  }
  return bases;
}

// Of one with a digest; "" for one that was built here and that no registry has.
std::string host_of(const std::vector<std::string>& references) {
  const auto digest = std::find_if(references.begin(), references.end(), [](const std::string& reference) {
    return reference.find('@') != std::string::npos;
  });
  return digest == references.end() ? std::string() : registry_host(*digest);
}

Thing thing_of(const Candidate& image, const ImageFacts& facts, Bytes bytes, const PullRates& rates) {
  Thing thing;
  thing.kind = ThingKind::kImage;
  thing.id = image.id;
  thing.name = image.name;
  thing.bytes = bytes;
  thing.cost = image_cost({bytes, host_of(image.references)}, facts.seconds, rates);
  thing.use = facts.use;
  thing.use.last_use = std::max(thing.use.last_use, image.last_use.at);
  thing.use.first_seen = std::min(thing.use.first_seen, thing.use.last_use);
  if (!image.references.empty()) thing.slot = image_slot(repository_of(image.references.front()));
  return thing;
}

}  // namespace

std::vector<Thing> cache_things(const CacheList& list, const CacheFacts& facts) {
  const auto& records = list.records();
  const auto slots = slots_of(records, facts.builder);
  std::vector<Thing> things(records.size());
  for (const auto& entry : list.order()) {
    const auto i = static_cast<std::size_t>(entry.record - records.data());
    const auto& record = records[i];
    const auto slot = facts.slots->find(slots[i]);
    auto& thing = things[i];
    thing.kind = ThingKind::kCache;
    thing.id = record.id;
    thing.name = record.description;
    thing.builder = facts.builder;
    thing.parents = record.parents;
    thing.bytes = record.shared ? 0 : record.size;
    thing.use = use_of(record, entry.used);
    thing.slot = slots[i];
    thing.is_sent_anyway = record.type == kContextType && !facts.reuse_context;
    const bool is_known = slot != facts.slots->end();
    if (is_known) thing.slot_history = slot->second.history;
    const bool was_seen = is_known && slot->second.seconds;
    thing.cost = was_seen ? Cost{*slot->second.seconds, false} : Cost{estimate(record, *facts.rates), true};
  }
  mark_superseded(things);
  return things;
}

// Its pull, if a registry has it; else what a build of so many bytes takes.
Cost image_cost(const ImageSource& image, std::optional<double> seconds, const PullRates& rates) {
  if (seconds) return {*seconds, false};
  if (image.host.empty()) return {kLeastOfAStep + over(image.bytes, kBuiltBytesPerSecond), true};
  return {over(image.bytes, rates.of(image.host)), true};
}

std::vector<ImageSource> sources_of(const std::vector<ImageRecord>& images) {
  const auto bases = bases_of(images);
  std::vector<ImageSource> sources;
  sources.reserve(images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto below = bases[i] == i ? Bytes{0} : images[bases[i]].size;
    sources.push_back({std::max<Bytes>(images[i].size - below, 0), host_of(images[i].digests)});
  }
  return sources;
}

void value_checkouts(std::vector<Candidate>& candidates, const std::vector<UseHistory>& uses, const PullRates& rates,
                     WallTime now) {
  std::vector<Thing> things(candidates.size());
  for (std::size_t i = 0; i < things.size(); ++i) {
    const auto& checkout = candidates[i];
    auto& thing = things[i];
    thing.kind = ThingKind::kCheckout;
    thing.id = checkout.id;
    thing.name = checkout.name;
    thing.bytes = checkout.is_unsized ? kAssumedCheckout : checkout.size;
    thing.cost = {kLeastOfAClone + over(thing.bytes, rates.of("")), true};
    thing.use = uses[i];
  }
  const auto order = order_by_value(things, now);
  for (std::size_t at = 0; at < order.size(); ++at) {
    const auto& place = order[at];
    auto& checkout = candidates[place.thing];
    const auto assumed = checkout.is_unsized
                             ? format("its size is not known yet, {} are assumed: ", format_bytes(kAssumedCheckout))
                             : std::string();
    checkout.value = Valuation{place.worth,
                               at,
                               place.seconds,
                               true,
                               uses[place.thing].uses,
                               "",
                               assumed + why(things[place.thing], place, now)};
  }
}

void value_images(std::vector<Candidate>& candidates, const std::vector<ImageFacts>& facts, const PullRates& rates,
                  WallTime now) {
  const auto bases = bases_of(candidates);
  std::vector<Thing> things;
  std::vector<std::size_t> whose;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto& image = candidates[i];
    if (image.is_beside) continue;
    const auto below = bases[i] == i ? Bytes{0} : candidates[bases[i]].size;
    things.push_back(thing_of(image, facts[i], std::max<Bytes>(image.size - below, 0), rates));
    if (bases[i] != i) things.back().parents.push_back(candidates[bases[i]].id);
    whose.push_back(i);
  }
  mark_superseded(things);
  const auto order = order_by_value(things, now);
  for (std::size_t at = 0; at < order.size(); ++at) {
    const auto& place = order[at];
    const auto& thing = things[place.thing];
    Valuation value{place.worth,           at, place.seconds, place.is_estimated, thing.use.uses, thing.superseded_by,
                    why(thing, place, now)};
    candidates[whose[place.thing]].value = std::move(value);
  }
}

}  // namespace buildwarden::policy
