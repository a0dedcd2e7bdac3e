// The state of one climb; inside of the reclaimer.
#pragma once

#include <map>
#include <optional>

#include "daemon/disk/reclaimer.h"

namespace buildwarden::disk {

struct Reclaimer::Climb {
  ports::SpaceRequest request;
  ports::Progress progress;
  ports::SpaceResult result;
  std::vector<Measured> seen;  // the last measurement
  Standing at;                 // what it means
  BootTime until{};            // when the requester's patience ends
  Duration settle{0};          // shortened once nothing showed
  // Dry run: bytes that would be free, in all and by rung: a second pass lists again what the first would have taken.
  Bytes simulated = 0;
  std::map<policy::RungId, Bytes> simulated_by_rung;
};

struct Reclaimer::RungRun {
  ports::Rung& rung;
  policy::RungTurn turn;
  std::size_t deletions = 0;
  Bytes reported = 0;
  Bytes freed = 0;
  bool failed = false;
};

}  // namespace buildwarden::disk
