#include "daemon/evictors/checkout_events.h"

#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

constexpr std::size_t kMostNamed = 5;

}  // namespace

ports::Event in_parts_event(const std::vector<std::string>& in_parts) {
  ports::Event event;
  event.kind = "checkout.kept";
  event.severity = ports::Severity::kWarning;
  event.rule = "in_parts";
  event.reason = format("{}{}.", in_parts.front(),
                        in_parts.size() > 1 ? format("; {} more are like that", in_parts.size() - 1) : "");
  return event;
}

std::optional<ports::Event> kept_event(const std::vector<policy::Candidate>& candidates) {
  std::size_t kept = 0;
  std::string who;
  for (const auto& candidate : candidates) {
    if (candidate.in_use_by.empty()) continue;
    if (kept++ < kMostNamed) who += format("; {} by {}", candidate.name, candidate.in_use_by);
  }
  if (kept == 0) return std::nullopt;
  ports::Event event;
  event.kind = "checkout.kept";
  event.rule = "in_use";
  event.reason = format("{} of {} checkouts are in use{}{}.", kept, candidates.size(), who,
                        kept > kMostNamed ? "; and others" : "");
  event.fields.emplace_back("in_use", static_cast<std::int64_t>(kept));
  event.fields.emplace_back("checkouts", static_cast<std::int64_t>(candidates.size()));
  return event;
}

ports::Event left_event(const policy::Checkout& checkout, const TreeRemoved& removed, const std::string& in_place) {
  ports::Event event;
  event.kind = "checkout.left";
  event.severity = ports::Severity::kWarning;
  event.rule = removed.mounts.empty() ? "not_removed" : "mounted";
  event.reason = format("Of the checkout {}/{}/{} {} things are left after {} were removed", checkout.agent,
                        checkout.org, checkout.pipeline, removed.left, removed.removed);
  if (removed.stopped) event.reason += ": the daemon stops";
  if (!removed.first_error.empty()) event.reason += format(": {}", removed.first_error);
  if (!in_place.empty()) event.reason += format(" (removed where it was: {})", in_place);
  event.reason += ".";
  event.fields.emplace_back("path", checkout.path);
  event.fields.emplace_back("removed", static_cast<std::int64_t>(removed.removed));
  event.fields.emplace_back("left", static_cast<std::int64_t>(removed.left));
  std::string mounts;
  for (const auto& mount : removed.mounts) mounts += (mounts.empty() ? "" : ", ") + mount;
  event.fields.emplace_back("mounts", std::move(mounts));
  return event;
}

}  // namespace buildwarden::disk
