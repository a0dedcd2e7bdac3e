// What went wrong on connections: counted always, logged within a bound, since clients can repeat it at will.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "common/log_budget.h"

namespace buildwarden::api {

enum class Failure : std::uint8_t {
  kHandler,     // a route threw: answered with 500
  kConnection,  // something else threw: the connection was closed
  kAccept,      // a connection could not be taken
  kRefused,     // a connection was answered with 503 at once: no place for its peer
  kEvicted,     // a connection that had sent no whole request was closed for a newer one
  kLate,        // a request did not come, or an answer was not taken, within its time
  kSlowReader,  // a client did not take its answer at once, and as many others of that peer do not
  kMalformed,   // no request that is taken
};

// As metrics and logs name it: "handler", "slow_reader".
[[nodiscard]] std::string_view name_of(Failure failure);

inline constexpr std::array<Failure, 8> kAllFailures = {Failure::kHandler,    Failure::kConnection, Failure::kAccept,
                                                        Failure::kRefused,    Failure::kEvicted,    Failure::kLate,
                                                        Failure::kSlowReader, Failure::kMalformed};

// For the loop's thread alone.
class FailureLog {
 public:
  using Count = std::function<void(std::string_view name)>;
  explicit FailureLog(Count count) : count_(std::move(count)) {}

  // A mistake of ours, or of the machine: counted and logged.
  void record(Failure failure, std::string_view what);
  // What clients bring about, a thousand times a second where they want to: counted.
  void count(Failure failure) { count_(name_of(failure)); }

 private:
  Count count_;
  LogBudget budget_;
};

}  // namespace buildwarden::api
