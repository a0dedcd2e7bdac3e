// How an answer looks where a person reads it. A terminal has a width and may have colours; a pipe has neither, so that
// what scripts read is never cut, wrapped, coloured or told as an age.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace buildwarden::cli {

struct Terminal {
  std::size_t width = 0;   // columns of the terminal; 0: it is none
  std::size_t height = 0;  // lines of the terminal; 0: it is none, or does not know
  bool colour = false;
  [[nodiscard]] bool exists() const { return width > 0; }
};

// Of the terminal at stdout: `env` gives a variable, "" when it is not set. No colour with NO_COLOR (no-color.org) or
// on a terminal that is dumb; 80 columns where it does not know its width.
Terminal terminal_of_stdout(const std::function<std::string(const std::string&)>& env);

// `text` in the colour of `word`, a level, a state or a severity: red where something is wrong, yellow where it may
// become so, as it is for any other word and without colours.
std::string painted(std::string_view text, std::string_view word, const Terminal& terminal);

}  // namespace buildwarden::cli
