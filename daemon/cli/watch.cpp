// One view again and again, as watch(1) has it.
#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "common/format.h"
#include "common/time.h"
#include "daemon/cli/commands.h"

namespace buildwarden::cli {
namespace {

// ECMA-48 and xterm: from the first line on, each line cleared behind its end, longer ones cut, nothing left below.
constexpr std::string_view kBegin = "\x1b[H\x1b[?7l";
constexpr std::string_view kEndOfLine = "\x1b[K";
constexpr std::string_view kEnd = "\x1b[J\x1b[?7h";

// What the terminal is sent, in one piece: no more lines than it has.
std::string frame(std::string_view view, std::size_t height) {
  std::string drawn(kBegin);
  for (std::size_t lines = 1; !view.empty(); ++lines) {
    const auto end = view.find('\n');
    const auto rest = end == std::string_view::npos ? std::string_view() : view.substr(end + 1);
    const bool is_last = rest.empty() || (height > 0 && lines >= height);
    drawn += format("{}{}{}", is_last && !rest.empty() ? "..." : view.substr(0, end), kEndOfLine, is_last ? "" : "\n");
    if (is_last) break;
    view = rest;
  }
  drawn += kEnd;
  return drawn;
}

}  // namespace

int watch_status(const Context& context, Duration interval) {
  for (;;) {
    std::string view;
    auto drawn = context;
    drawn.out = [&view](std::string_view text) { view += text; };
    drawn.err = drawn.out;
    const int code = show_status(drawn);
    if (code == kDenied) {
      context.err(view);
      return code;
    }
    const auto terminal = context.terminal();
    if (terminal.exists() && !context.json) {
      const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
      context.out(frame(format("every {}, now {}\n\n{}", short_duration(interval), format_rfc3339(now), view),
                        terminal.height));
    } else {
      context.out(context.json ? view : view + "\n");
    }
    if (!context.out_arrived()) return kNo;
    if (!context.pause(interval)) return kYes;
  }
}

}  // namespace buildwarden::cli
