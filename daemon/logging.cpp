#include "daemon/logging.h"

#include <string>

#include "common/log.h"

namespace buildwarden {
namespace {

LogLevel level_of(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

LogFormat format_of(const std::string& name) {
  if (name == "text") return LogFormat::kText;
  return name == "journald" ? LogFormat::kJournald : LogFormat::kAuto;
}

}  // namespace

void configure_log(const LogSettings& settings) { configure_log(level_of(settings.level), format_of(settings.format)); }

}  // namespace buildwarden
