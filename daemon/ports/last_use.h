// When things were used last, as far as we have watched: the engine does not know.
#pragma once

#include <string>

#include "common/time.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/ports/engine.h"

namespace buildwarden::ports {

// How a builder that a job made with buildx, and a volume, are called in the ledger: by the container's id, by name.
inline std::string builder_row(const std::string& container_id) { return "builder " + container_id; }
inline std::string volume_row(const std::string& volume) { return "volume " + volume; }

// Of images by id, and of the rows above. From memory.
class LastUses {
 public:
  virtual ~LastUses() = default;
  // Whether last_use() speaks of this engine.
  [[nodiscard]] virtual bool knows(const EngineIdentity& identity) const = 0;
  // Whether it was seen, or used, and is not gone since.
  [[nodiscard]] virtual bool has(const std::string& id) const = 0;
  // What was never seen is used now.
  [[nodiscard]] virtual policy::LastUse last_use(const std::string& id, Now now) const = 0;
  // "container started", "pulled"; "" when nobody knows.
  [[nodiscard]] virtual std::string why(const std::string& id) const = 0;
};

// Of networks: since when each is empty.
class NetworkUses {
 public:
  virtual ~NetworkUses() = default;
  // Somebody was seen to use it.
  virtual void used(const std::string& id) = 0;
  [[nodiscard]] virtual policy::LastUse last_use(const NetworkRecord& network, Now now) const = 0;
};

}  // namespace buildwarden::ports
