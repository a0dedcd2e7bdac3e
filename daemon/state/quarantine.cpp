#include "daemon/state/quarantine.h"

#include <cerrno>
#include <cstdio>

#include "common/format.h"

namespace buildwarden::state {

Result<std::string> quarantine(const std::string& path, WallTime now) {
  auto beside = format("{}.damaged-{}", path, format_rfc3339(now));
  if (std::rename(path.c_str(), beside.c_str()) != 0) return Error::from_errno(errno, format("set {} aside", path));
  return beside;
}

ports::Event quarantined_event(const std::string& path, const std::string& why, const Result<std::string>& moved) {
  ports::Event event;
  event.kind = "state.set_aside";
  event.severity = ports::Severity::kWarning;
  event.rule = "unusable";
  event.reason = format("{} cannot be used ({}) and is begun anew; {}.", path, why,
                        moved ? format("it is kept as {}", *moved) : moved.error().message());
  event.fields.emplace_back("path", path);
  if (moved) event.fields.emplace_back("kept_as", *moved);
  return event;
}

ports::Event unreadable_event(std::string_view what, const Error& error) {
  ports::Event event;
  event.kind = "state.unreadable";
  event.severity = ports::Severity::kError;
  event.rule = "unreadable";
  event.reason = format("{} are not known: {}.", what, error.message());
  return event;
}

}  // namespace buildwarden::state
