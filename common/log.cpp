#include "common/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <string>

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

void configure_log(LogLevel threshold, LogFormat format) {
  const bool journald = format == LogFormat::kJournald || (format == LogFormat::kAuto && isatty(STDERR_FILENO) == 0);
  logger().set_level(to_spdlog(threshold));
  if (journald) {
    logger().set_formatter(std::make_unique<JournaldFormatter>());
  } else {
    logger().set_pattern(kTextPattern);
  }
}

void log_debug(std::string_view text) {
  if (logger().should_log(spdlog::level::debug)) logger().debug("{}", visible_lines(text));
}
void log_info(std::string_view text) { logger().info("{}", visible_lines(text)); }
void log_warning(std::string_view text) { logger().warn("{}", visible_lines(text)); }
void log_error(std::string_view text) { logger().error("{}", visible_lines(text)); }

}  // namespace buildwarden
