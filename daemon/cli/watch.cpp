// One view again and again, as watch(1) has it.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
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

// What a signal may have left half drawn: lines wrap again, and whoever writes next begins on a line of its own.
constexpr std::string_view kPutBack = "\x1b[J\x1b[?7h\n";

extern "C" void put_terminal_back(int signal) {
  static_cast<void>(!::write(STDOUT_FILENO, kPutBack.data(), kPutBack.size()));
  ::raise(signal);  // it is this program's end by then (SA_RESETHAND): the shell sees 130 after ^C
}

// While it lives, the signals that end the program put the terminal back first.
class PutBackAtSignal {
 public:
  explicit PutBackAtSignal(bool is_wanted) : is_wanted_(is_wanted) {
    if (!is_wanted_) return;
    struct sigaction action{};
    action.sa_handler = put_terminal_back;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
  }
  ~PutBackAtSignal() {
    if (!is_wanted_) return;
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }
  PutBackAtSignal(const PutBackAtSignal&) = delete;
  PutBackAtSignal& operator=(const PutBackAtSignal&) = delete;

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
  bool is_wanted_;
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace

int watch_status(const Context& context, Duration interval) {
  const PutBackAtSignal put_back(context.terminal().exists() && !context.json);
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
