// Which jobs ran when, as far as they are registered: whose a use may have been. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/time.h"

namespace buildwarden::policy {

// Of jobs that ended the latest kMostEnded are known.
class JobPeriods {
 public:
  static constexpr std::size_t kMostEnded = 1'000;

  struct Period {
    std::string job;
    std::string pipeline;               // "" where nobody said
    std::vector<std::string> builders;  // that it was given; a job of which nobody says it may use each
    WallTime from;
    bool is_over = false;
    WallTime to{};  // of one that is over
  };
  // It runs; known before: it goes on, with what is said now.
  void runs(const Period& period);
  void ended(const std::string& job, WallTime at);

  // Those that ran at that time, in the order in which they were told of.
  [[nodiscard]] std::vector<std::string> jobs_at(WallTime at) const;
  // The pipeline of all jobs that ran at that time and may have used this builder; "" where there were none, or of
  // several pipelines: then nobody can tell whose a use was. The engine's builder is "".
  [[nodiscard]] std::string pipeline_at(WallTime at, const std::string& builder) const;

 private:
  std::vector<Period> periods_;
};

}  // namespace buildwarden::policy
