#include "daemon/last_use/network_use.h"

#include <algorithm>

namespace buildwarden::disk {

void NetworkUse::on_event(const ports::EngineEvent& event) {
  if (event.type != "network" || event.id.empty()) return;
  if (event.action == "destroy" || event.action == "remove") {
    used_.erase(event.id);
  } else {
    used(event.id);
  }
}

void NetworkUse::on_connected() {
  used_.clear();
  watched_since_ = clock_.now();
}

policy::LastUse NetworkUse::last_use(const ports::NetworkRecord& network, Now now) const {
  policy::LastUse use;
  use.at = now.wall;
  if (!watched_since_) return use;
  const auto found = used_.find(network.id);
  const auto since = found == used_.end() ? *watched_since_ : found->second;
  use.at = found == used_.end() ? network.created : std::max(network.created, found->second.wall);
  use.observed = now.boot - since.boot;
  return use;
}

}  // namespace buildwarden::disk
