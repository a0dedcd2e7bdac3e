#include "daemon/api/event_filter.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "common/text_list.h"

namespace buildwarden::api {
namespace {

constexpr std::size_t kMostKinds = 32;
constexpr std::size_t kLongestKind = 64;

bool is_below(std::string_view kind, std::string_view wanted) {
  if (!kind.starts_with(wanted)) return false;
  return kind.size() == wanted.size() || kind[wanted.size()] == '.';
}

std::string value_of(const Request& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

bool is_kind(const std::string& text) {
  const auto is_allowed = [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= kLongestKind && std::all_of(text.begin(), text.end(), is_allowed);
}

Result<std::vector<std::string>> kinds_of(const Request& request) {
  std::vector<std::string> kinds;
  if (!request.query.contains("kind")) return kinds;
  const auto text = value_of(request, "kind");
  kinds = split(text, ',');
  if (kinds.size() <= kMostKinds && std::all_of(kinds.begin(), kinds.end(), is_kind)) return kinds;
  return Error(Errc::kInvalid,
               format(R"(the parameter "kind" must be up to {} kinds with commas between, such as "reclaim" or )"
                      R"("disk.level,job")",
                      kMostKinds));
}

Result<ports::Severity> severity_of(const Request& request) {
  if (!request.query.contains("severity")) return ports::Severity::kInfo;
  const auto text = value_of(request, "severity");
  if (text == "info") return ports::Severity::kInfo;
  if (text == "warning") return ports::Severity::kWarning;
  if (text == "error") return ports::Severity::kError;
  return Error(Errc::kInvalid, R"(the parameter "severity" must be "info", "warning" or "error")");
}

}  // namespace

bool EventFilter::takes(const ports::RecordedEvent& event) const {
  if (event.event.severity < least) return false;
  if (from && event.at < *from) return false;
  const auto fits = [&](const std::string& wanted) { return is_below(event.event.kind, wanted); };
  return kinds.empty() || std::any_of(kinds.begin(), kinds.end(), fits);
}

Result<EventFilter> event_filter_of(const Request& request) {
  EventFilter filter;
  auto kinds = kinds_of(request);
  if (!kinds) return std::move(kinds).error();
  filter.kinds = *std::move(kinds);
  const auto severity = severity_of(request);
  if (!severity) return severity.error();
  filter.least = *severity;
  if (!request.query.contains("from")) return filter;
  const auto from = parse_rfc3339(value_of(request, "from"));
  if (!from) {
    return Error(Errc::kInvalid, R"(the parameter "from" must be a time such as "2026-11-23T04:51:04Z" (RFC 3339))");
  }
  filter.from = *from;
  return filter;
}

}  // namespace buildwarden::api
