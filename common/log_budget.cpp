#include "common/log_budget.h"

#include <utility>

#include "common/format.h"
#include "common/log.h"

namespace buildwarden {

std::string LogBudget::line(std::string_view text, Instant now) {
  if (began_ == Instant{} || now - began_ >= window_) {
    began_ = now;
    written_ = 0;
  }
  if (written_ >= lines_) {
    ++left_out_;
    return "";
  }
  ++written_;
  const auto before = std::exchange(left_out_, 0);
  return before == 0 ? std::string(text) : format("{} ({} lines like this were left out before)", text, before);
}

void log_error(LogBudget& budget, std::string_view text) {
  if (const auto line = budget.line(text, std::chrono::steady_clock::now()); !line.empty()) log_error(line);
}

void log_warning(LogBudget& budget, std::string_view text) {
  if (const auto line = budget.line(text, std::chrono::steady_clock::now()); !line.empty()) log_warning(line);
}

}  // namespace buildwarden
