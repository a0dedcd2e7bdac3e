// What is on the disk as things that can be ranked by value: images, and the records of build caches. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/policy/eviction_order.h"
#include "daemon/policy/slots.h"
#include "daemon/policy/worth.h"

namespace buildwarden::policy {

// What is known beside what a cache lists.
struct CacheFacts {
  std::string builder;         // as in Thing
  const Slots* slots;          // what was learned of them; outlives the call
  const PullRates* rates;      // the same
  bool reuse_context = false;  // jobs.reuse_context: contexts are kept on purpose, and not sent again
};

// The records of a list as things, in the records' order. The cost is what the step was seen to take, or else an
// estimate: of what comes from elsewhere its bytes over the rate of pulls, of a step that was used once the time until
// that use, of all else its bytes.
std::vector<Thing> cache_things(const CacheList& list, const CacheFacts& facts);

// What is known of an image beside what the engine lists.
struct ImageFacts {
  UseHistory use;
  std::optional<double> seconds;  // that its pull was seen to take
};

// Where an image comes from.
struct ImageSource {
  Bytes bytes = 0;   // that it has more than the image on which it is built
  std::string host;  // of a registry that has it; "" for what was built here
};
// Of each image, in their order.
std::vector<ImageSource> sources_of(const std::vector<ImageRecord>& images);
// What it takes to get it back: `seconds` where its pull was seen, else an estimate.
Cost image_cost(const ImageSource& image, std::optional<double> seconds, const PullRates& rates);

// Gives each of the candidates that are images of this rung its value; `facts` in their order.
void value_images(std::vector<Candidate>& candidates, const std::vector<ImageFacts>& facts, const PullRates& rates,
                  WallTime now);

// A checkout of unknown size counts as so much: what it is worth hardly depends on its size, since what it costs does.
inline constexpr Bytes kAssumedCheckout = kGiB;

// Gives each of the candidates, which are checkouts, its value; `uses` in their order. The cost is estimated: a clone's
// least time and its bytes at the rate of pulls, since nobody sees how long an agent clones.
void value_checkouts(std::vector<Candidate>& candidates, const std::vector<UseHistory>& uses, const PullRates& rates,
                     WallTime now);

}  // namespace buildwarden::policy
