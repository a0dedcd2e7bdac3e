#include "daemon/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/format.h"

namespace buildwarden::cli {
namespace {

constexpr std::size_t kUsualWidth = 80;

constexpr std::array<std::string_view, 8> kRed = {"critical", "exhausted", "down",  "broken",
                                                  "missing",  "error",     "wrong", "not ready"};
constexpr std::array<std::string_view, 7> kYellow = {"low",     "starting", "healing", "registered",
                                                     "unknown", "warning",  "off"};

template <std::size_t Size>
bool has(const std::array<std::string_view, Size>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

Terminal terminal_of_stdout(const std::function<std::string(const std::string&)>& env) {
  Terminal terminal;
  if (::isatty(STDOUT_FILENO) != 1) return terminal;
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  terminal.width = known ? size.ws_col : kUsualWidth;
  terminal.height = known ? size.ws_row : 0;
  terminal.colour = env("NO_COLOR").empty() && env("TERM") != "dumb";
  return terminal;
}

std::string painted(std::string_view text, std::string_view word, const Terminal& terminal) {
  if (!terminal.colour) return std::string(text);
  if (has(kRed, word)) return format("\x1b[31m{}\x1b[0m", text);
  if (has(kYellow, word)) return format("\x1b[33m{}\x1b[0m", text);
  return std::string(text);
}

}  // namespace buildwarden::cli
