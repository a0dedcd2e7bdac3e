// What ended on an engine, in memory: the descriptions of a FakeImageEngine's containers, and its networks.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_image_engine.h"

namespace buildwarden::testing {

class FakeEnded final : public ports::EndedContainers, public ports::Networks, public ports::Volumes {
 public:
  explicit FakeEnded(FakeImageEngine& engine) : engine_(engine) {}

  // ---- what the test sets and sees
  std::map<std::string, ports::ContainerDetails> details;  // by container id
  std::vector<ports::NetworkRecord> networks;
  std::vector<ports::VolumeRecord> volumes;
  std::optional<Error> no_volumes;  // they cannot be listed
  std::vector<std::string> stopped;
  std::vector<std::string> measured;
  std::vector<std::string> removed;
  std::optional<Error> refusal;         // of every removal
  std::function<void()> before_remove;  // the world moves on

  // A container of the engine's list and its description.
  ports::ContainerRecord& add(const std::string& name, policy::ContainerState state, WallTime last_active) {
    engine_.add_container(name, "sha256:" + name, state);
    engine_.containers.back().id = "id-" + name;
    auto& described = details["id-" + name];
    described.id = "id-" + name;
    described.state = state;
    described.last_active = last_active;
    described.size = 100;
    return engine_.containers.back();
  }
  ports::NetworkRecord& add_network(const std::string& name, WallTime created) {
    ports::NetworkRecord network;
    network.id = "id-" + name;
    network.name = name;
    network.created = created;
    networks.push_back(network);
    return networks.back();
  }
  ports::VolumeRecord& add_volume(const std::string& name, WallTime created) {
    ports::VolumeRecord volume;
    volume.name = name;
    volume.created = created;
    volume.is_plain = true;
    volumes.push_back(volume);
    return volumes.back();
  }
  void forget(const std::string& id) {
    details.erase(id);
    std::erase_if(engine_.containers, [&id](const auto& one) { return one.id == id; });
    std::erase_if(networks, [&id](const auto& one) { return one.id == id; });
    std::erase_if(volumes, [&id](const auto& one) { return one.name == id; });
  }

  // ---- ports
  ports::Async<ports::ContainerDetails> describe_container(std::string id, bool measure) override {
    if (measure) measured.push_back(id);
    const auto found = details.find(id);
    if (found == details.end()) co_return Error(Errc::kNotFound, "no such container: " + id);
    auto described = found->second;
    if (!measure) described.size = 0;
    co_return described;
  }
  ports::Async<void> remove_ended_container(std::string id) override { return remove(std::move(id)); }
  ports::Async<void> stop_container(std::string id) override {
    stopped.push_back(id);
    co_return Result<void>{};
  }
  ports::Async<std::vector<ports::VolumeRecord>> list_volumes(std::string part) override {
    if (no_volumes) co_return *no_volumes;
    auto found = volumes;
    std::erase_if(found, [&part](const auto& one) { return one.name.find(part) == std::string::npos; });
    co_return found;
  }
  ports::Async<void> remove_volume(std::string name) override { return remove(std::move(name)); }
  ports::Async<std::vector<ports::NetworkRecord>> list_networks() override { co_return networks; }
  ports::Async<void> remove_network(std::string id) override { return remove(std::move(id)); }

 private:
  ports::Async<void> remove(std::string id) {
    if (before_remove) before_remove();
    if (refusal) co_return *refusal;
    removed.push_back(id);
    forget(id);
    co_return Result<void>{};
  }
  FakeImageEngine& engine_;
};

}  // namespace buildwarden::testing
