#include "daemon/api/failures.h"

#include "common/format.h"

namespace buildwarden::api {

std::string_view name_of(Failure failure) {
  switch (failure) {
    case Failure::kHandler: return "handler";
    case Failure::kConnection: return "connection";
    case Failure::kAccept: return "accept";
    case Failure::kRefused: return "refused";
    case Failure::kEvicted: return "evicted";
    case Failure::kLate: return "late";
    case Failure::kSlowReader: return "slow_reader";
    case Failure::kMalformed: return "malformed";
  }
  return "unknown";
}

void FailureLog::record(Failure failure, std::string_view what) {
  count(failure);
  log_error(budget_, format("api: {}: {}", name_of(failure), what));
}

}  // namespace buildwarden::api
