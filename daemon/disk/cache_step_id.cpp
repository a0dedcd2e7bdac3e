#include "daemon/disk/cache_step_id.h"

#include <charconv>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

constexpr std::string_view kKeep = " keep ";
constexpr std::string_view kUnused = " unused ";

// The number that `text` consists of, nothing when it is something else.
std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stopped != end || number < 0) return std::nullopt;
  return number;
}

}  // namespace

std::string cache_step_id(const CacheStepId& step) {
  return format("{}{}{}{}{}", step.source, kKeep, step.keep, kUnused, step.unused_for.count());
}

std::optional<CacheStepId> parse_cache_step_id(std::string_view id) {
  const auto first = id.find(kKeep);
  const auto second = id.find(kUnused);
  if (first == 0 || first == std::string_view::npos || second == std::string_view::npos || second < first) {
    return std::nullopt;
  }
  const auto after_keep = first + kKeep.size();
  if (after_keep > second) return std::nullopt;
  const auto keep = number_of(id.substr(after_keep, second - after_keep));
  const auto unused = number_of(id.substr(second + kUnused.size()));
  if (!keep || !unused) return std::nullopt;
  return CacheStepId{std::string(id.substr(0, first)), *keep, Duration{*unused}};
}

}  // namespace buildwarden::disk
