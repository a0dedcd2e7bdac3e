// The Docker engine: everything daemon/ports/engine.h promises, over the engine's HTTP API on its unix socket.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/async_mutex.h"
#include "common/clock.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/engine/credential_helper.h"
#include "daemon/engine/link.h"
#include "daemon/engine/output.h"
#include "daemon/engine/transport.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"

namespace buildwarden::engine {

// What the engine room needs of the daemon; all live longer than the Engine.
struct EngineParts {
  WorkerPool& workers;  // large answers, credential files
  const Clock& clock;
  ports::Journal& journal;
  OnCall on_call{};  // may be empty
};

struct PrunedCache;

// Used on one loop. Calls may be made at any time: while the engine is away they fail at once with kUnavailable and the
// reason. A call that timed out may have happened all the same. The Engine must outlive its coroutines: run() and every
// call that is under way.
class Engine final : public ports::EngineState,
                     public ports::Images,
                     public ports::ImageSource,
                     public ports::BuildCache,
                     public ports::Containers,
                     public ports::EndedContainers,
                     public ports::Networks,
                     public ports::Volumes,
                     public ports::NewVolumes,
                     public ports::ContainerControl,
                     public ports::ContainerOutput,
                     public ports::EngineEvents {
 public:
  Engine(EngineSettings settings, EngineParts parts, LinkTimes times = LinkTimes{});

  // Holds the connection until stop() or cancellation; see Link.
  boost::asio::awaitable<void> run() { return link_.run(); }
  void stop() {
    helpers_.stop();
    link_.stop();
  }

  [[nodiscard]] ports::EngineStatus status() const override { return link_.status(); }

  ports::Async<std::vector<ports::ImageRecord>> list_images() override;
  ports::Async<void> remove_image(std::string reference) override;
  ports::Async<std::string> image_id(std::string reference) override;

  ports::Async<void> load_archive(std::string path) override;
  // With the login that docker_config's config.json has for the registry, or one of its credential helpers, if any.
  // Where a helper fails it is tried without; a pull that then fails says both.
  ports::Async<void> pull(std::string reference) override;

  // One at a time with prune_cache(): older engines refuse a second disk usage call.
  ports::Async<std::vector<policy::CacheRecord>> cache_records() override;
  ports::Async<ports::CachePrune> prune_cache(std::vector<std::string> ids, Duration unused_for) override;

  ports::Async<std::vector<ports::ContainerRecord>> list_containers() override;
  ports::Async<policy::ObservedContainer> inspect_container(std::string name) override;
  ports::Async<std::set<std::string>> mounted_images(std::string id) override;

  ports::Async<ports::ContainerDetails> describe_container(std::string id, bool measure) override;
  ports::Async<void> remove_ended_container(std::string id) override;
  ports::Async<void> stop_container(std::string id) override;

  ports::Async<std::vector<ports::NetworkRecord>> list_networks() override;
  ports::Async<void> remove_network(std::string id) override;

  ports::Async<std::vector<ports::VolumeRecord>> list_volumes(std::string part) override;
  ports::Async<void> remove_volume(std::string name) override;
  ports::Async<void> create_volume(std::string name) override;

  ports::Async<std::string> create_container(ports::ContainerSpec spec) override;
  ports::Async<void> act_on_container(std::string id, ports::ContainerVerb verb) override;
  // After kTimeout the command may still run: the engine cannot end it.
  ports::Async<ExecResult> exec_in_container(std::string id, std::vector<std::string> command,
                                             ExecLimits limits) override;

  ports::Async<ports::ContainerControl::ExecResult> await_container(
      std::string id, ports::ContainerControl::ExecLimits limits) override;

  void on_event(std::function<void(const ports::EngineEvent&)> listener) override;
  void on_connected(std::function<void(const ports::EngineIdentity&, std::optional<Duration>)> listener) override;
  void on_lost(std::function<void(const std::string&)> listener) override;

 private:
  ports::Async<PrunedCache> prune_some(std::vector<std::string> ids, Duration unused_for);

  struct Credentials {
    std::string auth;     // of X-Registry-Auth; "" without a configured folder, or a login for the registry
    std::string problem;  // why there is none although there should be
  };
  ports::Async<Credentials> credentials(std::string registry);
  ports::Async<Output> read_output(std::string frames, std::size_t most);
  ports::Async<int> exit_code(std::string exec_id);
  // Of those whose layers are not known; what is not in the list any more is forgotten.
  ports::Async<void> learn_layers(const std::vector<ports::ImageRecord>& images);

  EngineSettings settings_;
  WorkerPool& workers_;
  Transport transport_;
  Link link_;
  AsyncMutex cache_turn_;
  CredentialHelpers helpers_;
  AsyncMutex layers_turn_;
  std::map<std::string, policy::LayerChain> layers_;  // by the image's id, which is one of its content
};

}  // namespace buildwarden::engine
