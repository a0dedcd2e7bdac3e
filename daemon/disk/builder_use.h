// When each builder that a job made with buildx, and each anonymous volume, was used last: the engine does not know.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "daemon/disk/ledger.h"
#include "daemon/ports/engine.h"

namespace buildwarden::disk {

// How buildx's docker-container driver calls its containers, and their state volumes. It sets no labels.
inline constexpr std::string_view kBuildxPrefix = "buildx_buildkit_";
bool is_buildx_container(const ports::ContainerRecord& container);  // by its name, and not ours
bool is_buildx_volume(std::string_view name);
// By its name alone (64 hexadecimal digits): what the engine calls a volume that nobody named.
bool is_unnamed_volume(std::string_view name);
// By all that tells: such a name, the engine's own label and no other, files of the engine's own driver. Before engine
// 23.0 there is no such label, and nobody knows whether somebody gave it that name.
bool is_anonymous_volume(const ports::VolumeRecord& volume);
// The volume that `buildx rm` would delete with the container.
std::string state_volume_of(const std::string& container_name);

// Keeps them in the ledger, so that a restart of the daemon does not make them young. Everything that happens to such a
// container is a use, each command in it (that is how builds come in) and each look at it by `buildx ls` included; a
// volume is used as long as any container, running or not, mounts it. Anonymous volumes are followed in the same way.
class BuilderUse {
 public:
  struct Parts {
    Ledger& ledger;
    ports::Volumes& volumes;
    const Clock& clock;
  };
  explicit BuilderUse(Parts parts) : parts_(parts) {}

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
