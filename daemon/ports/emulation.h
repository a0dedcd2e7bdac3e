// Emulation as jobs, the API and metrics see it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/policy/emulation.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/sensor.h"

namespace buildwarden::ports {

struct EmulatorsView {
  std::vector<policy::PlatformStatus> emulators;  // one a wanted platform; empty: emulation is off
  std::string native;                             // the host's own platform, also while it is off; "" = not known
  std::map<std::string, std::uint64_t> restored;  // by platform: times that it was lost and came back
  std::optional<WallTime> executed_at;            // when the programs were last executed
  Duration execution{0};                          // how long that took, all of them
  std::string image;                              // that handlers may come from; "" = none
  SensorRecord comparisons;                       // of the entries of binfmt_misc
  SensorRecord executions;                        // of the programs; good: each of them was judged
};

class EmulatorViews {
 public:
  virtual ~EmulatorViews() = default;
  [[nodiscard]] virtual EmulatorsView emulators_view() const = 0;
};

class Platforms {
 public:
  virtual ~Platforms() = default;
  // Executes the programs of all wanted platforms and restores what does not run; afterwards the view says how it is.
  // Milliseconds, or minutes when an image must be fetched.
  virtual Async<void> verify() = 0;
  // The same before a job that builds for `names`, for ten seconds at most. What the job should know of them: those
  // that do not run, and why; "" when all do, and while emulation is off.
  virtual boost::asio::awaitable<std::string> await_platforms(std::vector<std::string> names) = 0;
};

}  // namespace buildwarden::ports
