// Who uses the engine's disk: asked in the background, answered from memory.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"

namespace buildwarden::disk {

class DiskUsage {
 public:
  struct Parts {
    ports::Images& images;
    ports::BuildCache& cache;
    const ports::BuilderViews& builders;
    const Clock& clock;
    WorkerPool& workers;
  };
  explicit DiskUsage(Parts parts) : parts_(parts) {}

  // Asks the engine when the last answer is older than a minute, or after forget(). An engine that does not answer
  // leaves nothing: old figures would be taken for current ones.
  boost::asio::awaitable<void> refresh();
  // Something was deleted: the figures are to be asked for again.
  void forget() { asked_at_.reset(); }
  // Images by their sizes as the engine lists them (layers that several share count for each), the engine's build
  // cache, the cache of each builder that was asked; the largest first. Empty before the first answer.
  [[nodiscard]] const std::vector<ports::DiskUser>& last() const { return users_; }

 private:
  Parts parts_;
  std::optional<BootTime> asked_at_;
  std::vector<ports::DiskUser> users_;
};

}  // namespace buildwarden::disk
