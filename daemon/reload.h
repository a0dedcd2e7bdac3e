// The configuration while the daemon runs: loaded again, compared, taken over or refused, and told.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "config/changes.h"
#include "config/load.h"
#include "daemon/ports/config.h"
#include "daemon/ports/health.h"
#include "daemon/ports/journal.h"

namespace buildwarden {

// kStart: the first look at files that were read a moment ago; only told when something differs.
enum class ReloadCause : std::uint8_t { kStart, kFiles, kSignal };

// On the loop's thread alone; outlives its coroutines.
class Reload final : public ports::ConfigViews {
 public:
  struct Parts {
    config::Loaded& in_force;  // changed in place: rooms hold references to its settings
    config::LoadRequest request;
    const Clock& clock;
    ports::Journal& journal;
    WorkerPool& files;                        // for reads of files that others may make, which may hang
    std::function<void()> apply;              // for rooms that hold copies; after in_force has changed
    std::function<void(bool begins)> notify;  // the service manager
    std::function<bool()> parameters_awaited;
  };
  explicit Reload(Parts parts);

  // Loads, off the loop, and takes over what counts at once. A bad one changes nothing. One turn at a time.
  boost::asio::awaitable<void> turn(ReloadCause cause);

  [[nodiscard]] ports::ConfigView config_view() const override;
  // Part "config" while the last reload was refused, or a file of the host does not count.
  [[nodiscard]] std::optional<ports::NotReady> not_ready() const;

 private:
  void take(config::Loaded fresh, ReloadCause cause);
  void refuse(const Error& error, ReloadCause cause);
  void record_taken(const std::vector<config::Change>& changes, ReloadCause cause);
  void tell_distrusted();

  Parts parts_;
  WallTime loaded_at_;
  std::uint64_t taken_ = 0;
  std::uint64_t refused_ = 0;
  std::string error_;
  std::vector<std::string> told_distrusted_;
};

}  // namespace buildwarden
