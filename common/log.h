// The process's log: one line an entry on stderr, with the sd-daemon priority prefix ("<6>") when journald or a file
// reads it, coloured when a person does. Safe to call before log_to() (level info, format auto) and from any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace buildwarden {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
// auto: by whether stderr is a terminal.
enum class LogFormat : std::uint8_t { kAuto, kText, kJournald };

void configure_log(LogLevel threshold, LogFormat format);

void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warning(std::string_view text);
void log_error(std::string_view text);

}  // namespace buildwarden
