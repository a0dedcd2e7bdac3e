// An engine's containers and images in memory: obeys, remembers what it was asked, and fails when it is told to.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/ports/engine.h"

namespace buildwarden::testing {

class FakeContainers final : public ports::EngineState,
                             public ports::EngineEvents,
                             public ports::Containers,
                             public ports::ContainerControl,
                             public ports::Images,
                             public ports::ImageSource {
 public:
  struct Container {
    ports::ContainerSpec spec;
    policy::ObservedContainer seen;
  };

  FakeContainers() {
    engine.up = true;
    engine.identity.id = "engine-1";
  }

  // ---- what the test sets and sees
  ports::EngineStatus engine;
  std::map<std::string, Container> containers;  // by name
  std::map<std::string, std::string> images;    // reference → id
  std::vector<ports::ImageRecord> listed;
  std::map<std::string, std::string> archives;      // path → the reference that it holds
  std::vector<std::string> calls;                   // what changes something, in order: "create NAME", "start NAME", …
  std::map<std::string, Error> fail;                // by call, as in `calls`; "inspect" for all inspections
  std::function<void(const std::string&)> started;  // told the name
  std::function<void()> inspecting;                 // before an inspection is answered
  std::function<ExecResult(const std::vector<std::string>&)> execute;  // a command in a container

  // Somebody else's doing, with the engine's event about it.
  void set_state(const std::string& name, policy::ContainerState state, const std::string& action) {
    containers.at(name).seen.state = state;
    emit(name, action);
  }
  void remove(const std::string& name) {
    containers.erase(name);
    emit(name, "destroy");
  }
  void emit(const std::string& name, const std::string& action) {
    ports::EngineEvent event;
    event.type = "container";
    event.action = action;
    event.attributes["name"] = name;
    for (const auto& listener : on_events_) listener(event);
  }
  void lose(const std::string& reason) {
    engine.up = false;
    engine.reason = reason;
    for (const auto& listener : on_losses_) listener(reason);
  }
  void come_back() {
    engine.up = true;
    engine.reason.clear();
    for (const auto& listener : on_connections_) listener(engine.identity, Duration{1000});
  }

  // ---- ports
  [[nodiscard]] ports::EngineStatus status() const override { return engine; }
  void on_event(std::function<void(const ports::EngineEvent&)> listener) override {
    on_events_.push_back(std::move(listener));
  }
  void on_connected(std::function<void(const ports::EngineIdentity&, std::optional<Duration>)> listener) override {
    on_connections_.push_back(std::move(listener));
  }
  void on_lost(std::function<void(const std::string&)> listener) override { on_losses_.push_back(std::move(listener)); }

  ports::Async<std::vector<ports::ContainerRecord>> list_containers() override {
    co_return std::vector<ports::ContainerRecord>{};
  }
  ports::Async<policy::ObservedContainer> inspect_container(std::string name) override {
    if (inspecting) inspecting();
    if (const auto at = fail.find("inspect"); at != fail.end()) co_return at->second;
    const auto found = containers.find(name);
    co_return found == containers.end() ? policy::ObservedContainer{} : found->second.seen;
  }
  ports::Async<std::set<std::string>> mounted_images(std::string) override { co_return std::set<std::string>{}; }
  ports::Async<std::string> create_container(ports::ContainerSpec spec) override {
    if (const auto error = did("create " + spec.name)) co_return *error;
    Container made;
    made.seen.state = policy::ContainerState::kCreated;
    made.seen.id = format("id-{}-{}", spec.name, ++serial_);
    made.seen.ours = spec.labels[std::string(ports::kOwnerLabel)] == ports::kOwner;
    made.seen.spec_digest = spec.labels[std::string(ports::kSpecLabel)];
    made.seen.image_id = images[spec.image];
    made.spec = spec;
    const auto id = made.seen.id;
    containers[spec.name] = std::move(made);
    co_return id;
  }
  ports::Async<void> act_on_container(std::string id, ports::ContainerVerb verb) override {
    const auto found =
        std::find_if(containers.begin(), containers.end(), [&](const auto& one) { return one.second.seen.id == id; });
    if (found == containers.end()) co_return Error(Errc::kNotFound, "no such container: " + id);
    const auto name = found->first;
    if (const auto error = did(word(verb) + name)) co_return *error;
    if (verb == ports::ContainerVerb::kRemove) {
      containers.erase(found);
    } else {
      found->second.seen.state = policy::ContainerState::kRunning;
      if (started) started(name);
    }
    co_return Result<void>{};
  }
  ports::Async<ExecResult> exec_in_container(std::string id, std::vector<std::string> command, ExecLimits) override {
    std::string call = "exec " + id;
    for (const auto& word : command) call += " " + word;
    if (const auto error = did(call)) co_return *error;
    if (!execute) co_return ExecResult{};
    co_return execute(command);
  }
  ports::Async<std::vector<ports::ImageRecord>> list_images() override { co_return listed; }
  ports::Async<void> remove_image(std::string reference) override {
    images.erase(reference);
    co_return Result<void>{};
  }
  ports::Async<std::string> image_id(std::string reference) override {
    const auto found = images.find(reference);
    if (found == images.end()) co_return Error(Errc::kNotFound, "no such image: " + reference);
    co_return found->second;
  }
  ports::Async<void> load_archive(std::string path) override {
    if (const auto error = did("load " + path)) co_return *error;
    const auto found = archives.find(path);
    if (found != archives.end()) images[found->second] = "sha256:of-" + found->second;
    co_return Result<void>{};
  }
  ports::Async<void> pull(std::string reference) override {
    if (const auto error = did("pull " + reference)) co_return *error;
    images[reference] = "sha256:of-" + reference;
    co_return Result<void>{};
  }

 private:
  static std::string word(ports::ContainerVerb verb) {
    switch (verb) {
      case ports::ContainerVerb::kStart: return "start ";
      case ports::ContainerVerb::kPause: return "pause ";
      case ports::ContainerVerb::kUnpause: return "unpause ";
      case ports::ContainerVerb::kRestart: return "restart ";
      case ports::ContainerVerb::kRemove: return "remove ";
    }
    return "? ";
  }
  std::optional<Error> did(const std::string& call) {
    calls.push_back(call);
    const auto at = fail.find(call);
    if (at == fail.end()) return std::nullopt;
    return at->second;
  }

  int serial_ = 0;
  std::vector<std::function<void(const ports::EngineEvent&)>> on_events_;
  std::vector<std::function<void(const ports::EngineIdentity&, std::optional<Duration>)>> on_connections_;
  std::vector<std::function<void(const std::string&)>> on_losses_;
};

}  // namespace buildwarden::testing
