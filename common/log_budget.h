// A bound for the lines of a fault that others can repeat at will.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace buildwarden {

// At most `lines` in each `window`; the first line of the next one says how many were left out. For one thread.
class LogBudget {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  explicit LogBudget(std::size_t lines = 10, std::chrono::seconds window = std::chrono::minutes{1})
      : lines_(lines), window_(window) {}

  // The line to log now: `text`, where lines were left out with their number; "" when the budget is spent.
  [[nodiscard]] std::string line(std::string_view text, Instant now);

 private:
  std::size_t lines_;
  std::chrono::seconds window_;
  Instant began_{};
  std::size_t written_ = 0;
  std::size_t left_out_ = 0;
};

// Logs what the budget lets through.
void log_error(LogBudget& budget, std::string_view text);
void log_warning(LogBudget& budget, std::string_view text);

}  // namespace buildwarden
