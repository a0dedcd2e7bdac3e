// The process's log on stderr: with the sd-daemon priority prefix ("<6>") on each line when journald or a file reads
// it, coloured and with the time when a person does. Safe to call before configure_log() (level info, text) and from
// any thread. What jobs and engines named may stand in a text: control characters, C1 and bidirectional ones too, are
// written as visible_text.h says; only ends of lines and tabs stay.
#pragma once

#include <cstdint>
#include <string_view>

namespace buildwarden {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
// auto: text on a terminal, else for journald.
enum class LogFormat : std::uint8_t { kAuto, kText, kJournald };

// May be called again; on one thread.
void configure_log(LogLevel threshold, LogFormat format);

void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warning(std::string_view text);
void log_error(std::string_view text);

}  // namespace buildwarden
