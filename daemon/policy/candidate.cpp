#include "daemon/policy/candidate.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

Skipped skip(Candidate candidate, std::string_view rule, std::string why) {
  return {std::move(candidate), std::move(why), std::string(rule)};
}

// The reference that an operator's pattern matches, and the pattern; nothing when none does.
std::optional<std::pair<std::string, std::string>> kept(const Candidate& candidate, const EvictionRules& rules) {
  for (const auto& reference : candidate.references) {
    for (const auto& pattern : rules.keep) {
      if (glob_matches(pattern, reference)) return std::pair{reference, pattern};
    }
  }
  // The kind is written out: `*` alone is over images.
  const auto kind = candidate.kept_as.substr(0, candidate.kept_as.find(':') + 1);
  for (const auto& pattern : rules.keep) {
    const bool is_of_kind = !kind.empty() && pattern.starts_with(kind);
    if (is_of_kind && glob_matches(pattern, candidate.kept_as)) return std::pair{candidate.kept_as, pattern};
  }
  return std::nullopt;
}

// By the stamp, or by the age that counts where the clock was set since; a job that starts in the future tells nothing,
// so everything may be its.
bool used_since(const LastUse& use, WallTime start, Now now) {
  return use.at >= start || age_of(use, now) <= now.wall - start || start > now.wall;
}

// The rule that forbids deleting it and why; nothing when none does.
std::optional<std::pair<std::string_view, std::string>> forbidden(const Candidate& candidate,
                                                                  const EvictionRules& rules, Now now) {
  if (!candidate.in_use_by.empty()) return std::pair{"in_use", format("in use by {}", candidate.in_use_by)};
  if (!candidate.protected_as.empty()) return std::pair{"protected", format("protected: {}", candidate.protected_as)};
  if (const auto match = kept(candidate, rules))
    return std::pair{"keep", format("{} matches the pattern {} of disk.keep", match->first, match->second)};
  if (candidate.thrown_away || candidate.given_up) return std::nullopt;
  const auto age = age_of(candidate.last_use, now);
  if (rules.oldest_job_start && used_since(candidate.last_use, *rules.oldest_job_start, now))
    return std::pair{"running_job",
                     format("last used {} ago, since the start of the oldest running job {} ago", format_duration(age),
                            format_duration(std::max(now.wall - *rules.oldest_job_start, Duration{0})))};
  if (age < rules.grace)
    return std::pair{"grace", format("last used {} ago, within the grace of {}", format_duration(age),
                                     format_duration(rules.grace))};
  if (age < rules.age)
    return std::pair{
        "age", format("last used {} ago, less than the age of {}", format_duration(age), format_duration(rules.age))};
  return std::nullopt;
}

// In the order in which they are told.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kWordsOfRules = {
    {{"in_use", "in use"},
     {"protected", "protected"},
     {"keep", "kept by disk.keep"},
     {"running_job", "used since the oldest running job began"},
     {"grace", "used within disk.grace"},
     {"age", "used within disk.keep_used_within"}}};

bool goes_before(const Candidate& one, const Candidate& other) {
  return std::tuple(one.last, one.last_use.at, -one.size, std::string_view(one.id)) <
         std::tuple(other.last, other.last_use.at, -other.size, std::string_view(other.id));
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
    case RungId::kLastResort: return "last_resort";
  }
  return "unknown";
}

Duration age_of(const LastUse& use, Now now) {
  return std::max(std::min(now.wall - use.at, use.observed), Duration{0});
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the last one seen
  std::size_t resume = 0;                     // where its run of characters ends so far
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
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
  Ranking ranking;
  for (auto& candidate : candidates) {
    if (auto why = forbidden(candidate, rules, now)) {
      ranking.skipped.push_back(skip(std::move(candidate), why->first, std::move(why->second)));
    } else {
      ranking.order.push_back(std::move(candidate));
    }
  }
  std::sort(ranking.order.begin(), ranking.order.end(), goes_before);
  std::sort(ranking.skipped.begin(), ranking.skipped.end(),
            [](const Skipped& one, const Skipped& other) { return goes_before(one.candidate, other.candidate); });
  return ranking;
}

}  // namespace buildwarden::policy
