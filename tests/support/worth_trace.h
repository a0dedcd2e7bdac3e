// What jobs touched, job by job: what bench_worth reads and the generator of days makes. Format: tests/bench/README.md.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/policy/worth.h"

namespace buildwarden::testing {

struct Touch {
  policy::ThingKind kind = policy::ThingKind::kImage;
  std::string id;
  std::string name;                  // of an image; "" else
  std::string description;           // of a cache record; "" else
  std::vector<std::string> parents;  // of a cache record
  Bytes bytes = 0;
  double cost_seconds = 0;
};

// A job holds what it touched until its last touch.
struct TracedJob {
  double at = 0;  // seconds since the trace's start
  std::string job;
  std::vector<Touch> touches;
};

// In the order of time.
using Trace = std::vector<TracedJob>;

// From JSON lines, a job each. kInvalid names the line and what is wrong there: no JSON, a member that is missing or of
// another type, a kind that is none, a time before that of the line above.
Result<Trace> read_trace(std::istream& lines);
void write_trace(const Trace& trace, std::ostream& lines);

// What a day touches: the bytes of the different things of each 24 hours, their mean over the trace's days.
Bytes bytes_of_a_day(const Trace& trace);

}  // namespace buildwarden::testing
