// When each builder that a job made with buildx, and each anonymous volume, was used last: the engine does not know.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/ports/buildx_objects.h"
#include "daemon/ports/engine.h"

namespace buildwarden::disk {

// Keeps them in the ledger, so that a restart of the daemon does not make them young. Everything that happens to such a
// container is a use, each command in it (that is how builds come in) and each look at it by `buildx ls` included; a
// volume is used as long as any container, running or not, mounts it. Anonymous volumes are followed in the same way.
class BuildxBuilderUse {
 public:
  struct Parts {
    LastUseLedger& ledger;
    ports::Volumes& volumes;
    const Clock& clock;
  };
  explicit BuildxBuilderUse(Parts parts) : parts_(parts) {}

  void on_event(const ports::EngineEvent& event);
  // The engine's containers, all of them, and the ledger knows that engine: what was not seen before counts as used
  // now. Volumes that cannot be listed stay as they are, and new ones are young until they can.
  boost::asio::awaitable<void> learn(std::vector<ports::ContainerRecord> containers);

 private:
  struct Use {
    WallTime at;
    std::string why;
  };
  void note(const std::string& row, const ports::EngineEvent& event);

  Parts parts_;
  std::map<std::string, Use> replayed_;  // from before the start: news perhaps, to be settled by the first list
};

}  // namespace buildwarden::disk
