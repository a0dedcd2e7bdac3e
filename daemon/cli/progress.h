// How a long operation goes, for people who watch.
#pragma once

#include <string>
#include <string_view>

#include "daemon/cli/context.h"

namespace buildwarden::cli {

// Where the lines go: over and over on one line of a terminal's stdout, or one below the other on stderr.
class Progress {
 public:
  enum class Where : std::uint8_t { kTerminalLine, kErrorLines };
  // Holds `context` by reference: it must outlive the progress. kTerminalLine is silent unless stdout is a terminal.
  Progress(const Context& context, Where where) : context_(context), where_(where) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void line(std::string_view text);
  // Takes the line off the terminal, before the result is printed.
  void clear();

 private:
  const Context& context_;
  Where where_;
  bool shown_ = false;
};

}  // namespace buildwarden::cli
