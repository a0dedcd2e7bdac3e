// The process's log. Where journald reads stderr ($JOURNAL_STREAM names it) each entry goes to journald's own socket,
// with fields; else it is on stderr, with the time and, on a terminal, colours, or with the sd-daemon priority prefix
// ("<6>") on each line. Nothing waits for journald: what neither its socket nor its stream takes at once is lost, and
// the next entry that arrives says how many were. Safe to call before configure_log() (level info, text) and from any
// thread. What jobs and engines named may stand in a text: control characters, C1 and bidirectional ones too, are
// written as visible_text.h says; only ends of lines and tabs stay.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/journald.h"

namespace buildwarden {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
// auto: for journald where it reads stderr, else text.
enum class LogFormat : std::uint8_t { kAuto, kText, kJournald };

// May be called again; on one thread.
void configure_log(LogLevel threshold, LogFormat format, const char* journald_socket = kJournaldSocket);

void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warning(std::string_view text);
void log_error(std::string_view text);
// The same with fields for journald, which are left out elsewhere.
void log_with_fields(LogLevel level, std::string_view text, JournalFields fields);

}  // namespace buildwarden
