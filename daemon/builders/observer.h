// How a builder is at this moment: containers, image, socket.
#pragma once

#include <optional>
#include <string>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/builders/builder.h"
#include "daemon/policy/builder.h"
#include "daemon/ports/engine.h"

namespace buildwarden::builders {

struct Observation {
  policy::ObservedBuilder builder;
  std::optional<std::string> image_id;  // of the configured image; nothing = it is not there
  std::string unknown;                  // why it could not be observed; then `builder` says engine down
};

struct ObserverPorts {
  ports::EngineState& engine;
  ports::Containers& containers;
  ports::Images& images;
  WorkerPool& files;
  const Clock& clock;
};

// Of a builder whose running builds cannot be counted: it counts as busy.
inline constexpr int kUnknownBuilds = 1;

// A silent one that had answered is asked again after this time.
inline constexpr Duration kAskAgain = std::chrono::seconds{1};

// One on which builds ran is asked again after this time: no event tells of their end.
inline constexpr Duration kBuildsAgain = std::chrono::seconds{5};

class Observer {
 public:
  Observer(ObserverPorts ports, PathSettings paths) : ports_(ports), paths_(std::move(paths)) {}

  // What the engine shows, within milliseconds; `builder->liveness` is forgotten when another container runs. `answers`
  // and the socket folders are what the last question gave, and running builds are not known. A failed inspect is
  // unknown, and unknown is shown as an engine that does not answer, never as something that is missing. `builder`
  // outlives the coroutines.
  boost::asio::awaitable<Observation> observe(Builder* builder);

  // Asks buildkitd whether it is alive and who is connected, and looks at what the process that listens on its socket
  // does, and at the folders that the containers see; a frozen one keeps this waiting for ten seconds. Builds are known
  // by their connections: each that runs holds one, whichever way it was dialled, so neither leases nor BuildKit's own
  // history would tell of more. False: an event overtook the question, so look again instead of deciding.
  boost::asio::awaitable<bool> ask(Builder* builder, Observation* seen);

 private:
  ports::Async<void> inspect(const Builder* builder, Observation* into);
  ports::Async<void> learn_volume(Builder* builder, const policy::ObservedContainer* real);
  boost::asio::awaitable<bool> has_room();
  boost::asio::awaitable<void> look_at_folders(Builder* builder, Observation* seen);
  boost::asio::awaitable<std::optional<Activity>> activity(const Builder* builder, int container);
  boost::asio::awaitable<void> note_silence(Builder* builder, int container, BootTime asked);
  void show(const Builder& builder, Observation* seen) const;

  ObserverPorts ports_;
  PathSettings paths_;
};

}  // namespace buildwarden::builders
