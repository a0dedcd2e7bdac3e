#include "daemon/policy/eviction_order.h"

#include <algorithm>
#include <array>
#include <functional>
#include <tuple>
#include <utility>

#include "common/format.h"
#include "daemon/policy/image_names.h"

namespace buildwarden::policy {
namespace {

Skipped skip(Candidate candidate, std::string_view rule, std::string why) {
  return {std::move(candidate), std::move(why), std::string(rule)};
}

// Of what is no image; nothing when no pattern names it. The kind is written out: `*` alone is over images.
std::optional<KeepPatterns::Match> kept_by_kind(const Candidate& candidate, const std::vector<std::string>& patterns) {
  const auto kind = candidate.kept_as.substr(0, candidate.kept_as.find(':') + 1);
  for (const auto& pattern : patterns) {
    const bool is_of_kind = !kind.empty() && pattern.starts_with(kind);
    if (is_of_kind && glob_matches(pattern, candidate.kept_as)) return KeepPatterns::Match{candidate.kept_as, pattern};
  }
  return std::nullopt;
}

// By the stamp, or by the age that counts where the clock was set since; a job that starts in the future tells nothing,
// so everything may be its.
bool used_since(const LastUse& use, WallTime start, Now now) {
  return use.at >= start || age_of(use, now) <= now.wall - start || start > now.wall;
}

constexpr std::size_t kShownOfId = std::string_view("sha256:").size() + 12;  // as docker shows it

// The rule that forbids a deletion and why; nothing when none does.
using Prohibition = std::optional<std::pair<std::string_view, std::string>>;

Prohibition forbidden(const Candidate& candidate, const KeepPatterns& keep, const EvictionRules& rules, Now now) {
  if (!candidate.in_use_by.empty()) return std::pair{"in_use", format("in use by {}", candidate.in_use_by)};
  if (!candidate.protected_as.empty()) return std::pair{"protected", format("protected: {}", candidate.protected_as)};
  if (const auto match = keep.match(candidate.references, candidate.id))
    return std::pair{"keep", format("{} matches the pattern {} of disk.keep", match->name, match->pattern)};
  if (const auto match = kept_by_kind(candidate, rules.keep))
    return std::pair{"keep", format("{} matches the pattern {} of disk.keep", match->name, match->pattern)};
  if (candidate.thrown_away || candidate.given_up) return std::nullopt;
  const auto age = age_of(candidate.last_use, now);
  if (rules.oldest_job_start && used_since(candidate.last_use, *rules.oldest_job_start, now))
    return std::pair{"running_job",
                     format("last used {} ago, since the start of the oldest running job {} ago", short_duration(age),
                            short_duration(std::max(now.wall - *rules.oldest_job_start, Duration{0})))};
  if (age < rules.grace)
    return std::pair{
        "grace", format("last used {} ago, within the grace of {}", short_duration(age), short_duration(rules.grace))};
  if (age < rules.age && !candidate.is_over_share)
    return std::pair{
        "age", format("last used {} ago, less than the age of {}", short_duration(age), short_duration(rules.age))};
  return std::nullopt;
}

// In the order in which they are told.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kWordsOfRules = {
    {{"in_use", "in use"},
     {"protected", "protected"},
     {"keep", "kept by disk.keep"},
     {"running_job", "used since the oldest running job began"},
     {"grace", "used within disk.grace"},
     {"age", "used within disk.keep_used_within"},
     {"shared", "part of images that stay"}}};

bool goes_before(const Candidate& one, const Candidate& other) {
  const auto order = [](const Candidate& candidate) {
    // More layers first: what lies on an image must be gone before the image gives anything back.
    const auto layers = -static_cast<std::int64_t>(candidate.layers.size());
    return std::tuple(candidate.last, candidate.last_use.at, layers, -candidate.size, std::string_view(candidate.id));
  };
  return order(one) < order(other);
}

// What has no value goes before all that has one.
bool is_worth_less(const Candidate& one, const Candidate& other) {
  const auto order = [](const Candidate& candidate) {
    const auto worth = candidate.value ? candidate.value->worth : -1.0;
    return std::tuple(candidate.last, worth, candidate.value ? candidate.value->place : 0);
  };
  if (order(one) != order(other)) return order(one) < order(other);
  return goes_before(one, other);
}

LayerTree tree_of(const std::vector<Candidate>& candidates) {
  std::vector<const LayerChain*> chains;
  chains.reserve(candidates.size());
  for (const auto& candidate : candidates) chains.push_back(&candidate.layers);
  return LayerTree(chains);
}

// Who builds on an image uses it.
void inherit_use(const LayerTree& tree, std::vector<Candidate>& candidates) {
  const auto earlier = [&candidates](std::size_t one, std::size_t other) {
    return candidates[one].last_use.at < candidates[other].last_use.at;
  };
  const auto users = greatest_above(tree, candidates.size(), earlier);
  std::vector<LastUse> uses;
  uses.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    uses.push_back(latest(candidates[i].last_use, candidates[users[i]].last_use));
    if (uses[i].at != candidates[i].last_use.at) uses[i].by = candidates[users[i]].name;
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i].last_use = std::move(uses[i]);
}

// What would give nothing back, since all its layers are in an image that stays.
void hold_shared(const LayerTree& tree, const std::vector<Candidate>& candidates,
                 std::vector<Prohibition>& prohibitions) {
  const auto stays = [&](std::size_t image) { return candidates[image].is_beside || prohibitions[image].has_value(); };
  const auto holders = greatest_above(tree, candidates.size(),
                                      [&](std::size_t one, std::size_t other) { return !stays(one) && stays(other); });
  std::vector<std::pair<std::size_t, std::string>> held;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto holder = holders[i];
    if (stays(i) || !stays(holder)) continue;
    const auto why = prohibitions[holder] ? ": " + prohibitions[holder]->second : std::string();
    held.emplace_back(i, format("all its layers are in {}, which stays{}", candidates[holder].name, why));
  }
  for (auto& [image, why] : held) prohibitions[image] = std::pair{"shared", std::move(why)};
}

// Only its own layers come back of an image: not those that one lies on which is there still.
void take_off_shared(const LayerTree& tree, const std::vector<std::size_t>& order, std::vector<Candidate>& candidates) {
  const auto& nodes = tree.nodes();
  std::vector<std::size_t> left(nodes.size());
  std::vector<Bytes> whole(nodes.size());
  for (std::size_t at = 1; at < nodes.size(); ++at) {
    left[at] = nodes[at].images.size();
    for (const auto image : nodes[at].images) whole[at] = std::max(whole[at], candidates[image].size);
  }
  for (const auto image : order) {
    auto at = tree.top_of(image);
    if (at != 0) --left[at];
    while (at != 0 && left[at] == 0) at = nodes[at].below;
    if (at == 0) continue;
    auto& candidate = candidates[image];
    candidate.shared = std::min(whole[at], candidate.size);
    candidate.size -= candidate.shared;
  }
}

}  // namespace

std::string_view to_string(RungId rung) {
  switch (rung) {
    case RungId::kLeftovers: return "leftovers";
    case RungId::kContainers: return "containers";
    case RungId::kAnonymousVolumes: return "anonymous_volumes";
    case RungId::kDanglingImages: return "dangling_images";
    case RungId::kBuildCache: return "build_cache";
    case RungId::kImages: return "images";
    case RungId::kBuildCacheShare: return "build_cache_share";
    case RungId::kOrphans: return "orphans";
    case RungId::kCheckouts: return "checkouts";
    case RungId::kGitMirrors: return "git_mirrors";
    case RungId::kLastResort: return "last_resort";
    case RungId::kUnused: return "unused";
  }
  return "unknown";
}

Duration age_of(const LastUse& use, Now now) {
  return std::max(std::min(now.wall - use.at, use.observed), Duration{0});
}

LastUse latest(const LastUse& one, const LastUse& other) {
  return LastUse{std::max(one.at, other.at), std::min(one.observed, other.observed), one.by};
}

std::vector<std::string> ImageRecord::names() const {
  auto names = tags;
  names.insert(names.end(), digests.begin(), digests.end());
  return names;
}

std::string ImageRecord::name() const {
  if (!tags.empty()) return tags.front();
  return digests.empty() ? id.substr(0, kShownOfId) : digests.front();
}

Candidate image_candidate(const ImageRecord& image) {
  Candidate candidate;
  candidate.id = image.id;
  candidate.references = image.names();
  candidate.name = image.name();
  candidate.size = image.size;
  candidate.layers = image.layers;
  return candidate;
}

void keep_largest(std::vector<Skipped>& skipped, std::size_t most) {
  if (skipped.size() <= most) return;
  std::vector<Bytes> sizes;
  sizes.reserve(skipped.size());
  for (const auto& one : skipped) sizes.push_back(one.candidate.size);
  const auto last = sizes.begin() + static_cast<std::ptrdiff_t>(most);
  std::nth_element(sizes.begin(), last, sizes.end(), std::greater<>());
  const auto bound = *last;  // at most `most` are larger
  auto equal =
      most - static_cast<std::size_t>(std::count_if(sizes.begin(), last, [&](Bytes one) { return one > bound; }));
  std::erase_if(skipped, [&](const Skipped& one) {
    if (one.candidate.size != bound) return one.candidate.size < bound;
    if (equal == 0) return true;
    --equal;
    return false;
  });
}

SparedByRule spared(const std::vector<Skipped>& skipped) {
  SparedByRule by_rule;
  for (const auto& one : skipped) {
    auto& sum = by_rule[one.rule];
    ++sum.count;
    sum.bytes += one.candidate.size;
  }
  return by_rule;
}

std::string to_text(const SparedByRule& spared) {
  std::string text;
  for (const auto& [rule, words] : kWordsOfRules) {
    const auto found = spared.find(std::string(rule));
    if (found == spared.end()) continue;
    const auto& [count, bytes] = found->second;
    text += format("{}{} ({}) {}", text.empty() ? "" : ", ", count, format_bytes(bytes), words);
  }
  return text;
}

Ranking rank(std::vector<Candidate> candidates, const EvictionRules& rules, Now now) {
  const auto tree = tree_of(candidates);
  inherit_use(tree, candidates);
  const KeepPatterns keep(rules.keep);
  std::vector<Prohibition> prohibitions;
  prohibitions.reserve(candidates.size());
  for (const auto& candidate : candidates) prohibitions.push_back(forbidden(candidate, keep, rules, now));
  hold_shared(tree, candidates, prohibitions);
  Ranking ranking;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].is_beside) continue;
    if (!prohibitions[i]) order.push_back(i);
    if (!prohibitions[i]) continue;
    ranking.skipped.push_back(
        skip(std::move(candidates[i]), prohibitions[i]->first, std::move(prohibitions[i]->second)));
  }
  std::sort(order.begin(), order.end(), [&candidates, &rules](std::size_t one, std::size_t other) {
    return rules.by_value ? is_worth_less(candidates[one], candidates[other])
                          : goes_before(candidates[one], candidates[other]);
  });
  take_off_shared(tree, order, candidates);
  for (const auto i : order) ranking.order.push_back(std::move(candidates[i]));
  std::sort(ranking.skipped.begin(), ranking.skipped.end(),
            [](const Skipped& one, const Skipped& other) { return goes_before(one.candidate, other.candidate); });
  return ranking;
}

}  // namespace buildwarden::policy
