#include "common/log.h"

#include <poll.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "common/format.h"
#include "common/visible_text.h"

namespace buildwarden {
namespace {

// sd-daemon(3): each line has the priority of syslog(3) in front, also the later ones of one entry; journald has the
// time.
class JournaldFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view prefix = prefix_of(message.level);
    std::string_view rest(message.payload.data(), message.payload.size());
    for (bool more = true; more;) {
      const auto end = rest.find('\n');
      const auto line = rest.substr(0, end);
      out.append(prefix.data(), prefix.data() + prefix.size());
      out.append(line.data(), line.data() + line.size());
      out.push_back('\n');
      more = end != std::string_view::npos;
      if (more) rest.remove_prefix(end + 1);
    }
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JournaldFormatter>();
  }

 private:
  static std::string_view prefix_of(spdlog::level::level_enum level) {
    if (level >= spdlog::level::err) return "<3>";
    if (level == spdlog::level::warn) return "<4>";
    return level == spdlog::level::info ? "<6>" : "<7>";
  }
};

constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%e %^%-5l%$ %v";

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("buildwarden", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern(kTextPattern);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

namespace {

// Where journald reads stderr; set once, never taken away, as other threads may be using it.
std::atomic<const JournaldSocket*> journald{nullptr};
std::atomic<std::uint64_t> lost{0};  // entries that journald did not take

const char* priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "7";
    case LogLevel::kInfo: return "6";
    case LogLevel::kWarning: return "4";
    case LogLevel::kError: return "3";
  }
  return "6";
}

JournalFields entry_of(LogLevel level, std::string text, JournalFields more) {
  JournalFields fields = {
      {"MESSAGE", std::move(text)}, {"PRIORITY", priority_of(level)}, {"SYSLOG_IDENTIFIER", "buildwarden"}};
  fields.insert(fields.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  return fields;
}

bool takes_at_once(int descriptor) {
  pollfd ready{descriptor, POLLOUT, 0};
  return ::poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0;
}

void tell_lost(const JournaldSocket& socket) {
  const auto count = lost.exchange(0);
  if (count == 0) return;
  const auto text = format("{} entries before this one were lost: journald did not take them", count);
  if (!socket.send(entry_of(LogLevel::kWarning, text, {}))) lost += count;
}

void write(LogLevel level, std::string_view text, JournalFields fields) {
  if (!logger().should_log(to_spdlog(level))) return;
  auto shown = visible_lines(text);
  const auto* socket = journald.load();
  if (socket == nullptr) {
    logger().log(to_spdlog(level), "{}", shown);
    return;
  }
  tell_lost(*socket);
  if (socket->send(entry_of(level, shown, std::move(fields)))) return;
  if (takes_at_once(STDERR_FILENO)) {
    logger().log(to_spdlog(level), "{}", shown);
  } else {
    ++lost;
  }
}

}  // namespace

void configure_log(LogLevel threshold, LogFormat format, const char* journald_socket) {
  const char* stream = std::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe): set once, before we start
  const bool is_read = is_journal_stream(STDERR_FILENO, stream == nullptr ? "" : stream);
  const bool for_journald = format == LogFormat::kJournald || (format == LogFormat::kAuto && is_read);
  logger().set_level(to_spdlog(threshold));
  if (for_journald) {
    logger().set_formatter(std::make_unique<JournaldFormatter>());
  } else {
    logger().set_pattern(kTextPattern);
  }
  static const JournaldSocket socket(journald_socket);
  journald = for_journald && is_read ? &socket : nullptr;
}

void log_debug(std::string_view text) { write(LogLevel::kDebug, text, {}); }
void log_info(std::string_view text) { write(LogLevel::kInfo, text, {}); }
void log_warning(std::string_view text) { write(LogLevel::kWarning, text, {}); }
void log_error(std::string_view text) { write(LogLevel::kError, text, {}); }
void log_with_fields(LogLevel level, std::string_view text, JournalFields fields) {
  write(level, text, std::move(fields));
}

}  // namespace buildwarden
