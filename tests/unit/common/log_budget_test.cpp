#include "common/log_budget.h"

#include <gtest/gtest.h>

namespace buildwarden {
namespace {

using namespace std::chrono_literals;

TEST(LogBudget, LeavesOutWhatIsTooMuchAndSaysHowMuch) {
  LogBudget budget(2, 60s);
  const LogBudget::Instant start{1s};
  EXPECT_EQ(budget.line("a", start), "a");
  EXPECT_EQ(budget.line("b", start + 59s), "b");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(budget.line("c", start + 59s), "");
  EXPECT_EQ(budget.line("d", start + 60s), "d (1000 lines like this were left out before)");
  EXPECT_EQ(budget.line("e", start + 61s), "e");
  EXPECT_EQ(budget.line("f", start + 62s), "");
}

}  // namespace
}  // namespace buildwarden
