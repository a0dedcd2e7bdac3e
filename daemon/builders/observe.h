// How a builder is at this moment: containers, image, socket.
#pragma once

#include <optional>
#include <string>

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
};

// A silent one that had answered is asked again after this time.
inline constexpr Duration kAskAgain = std::chrono::seconds{1};

class Observer {
 public:
  Observer(ObserverPorts ports, PathSettings paths) : ports_(ports), paths_(std::move(paths)) {}

  // What the engine shows, within milliseconds; `builder->liveness` is forgotten when another container runs. `answers`
  // is what the last question gave, and running builds are not known. A failed inspect is unknown, and unknown is shown
  // as an engine that does not answer, never as something that is missing. `builder` outlives the coroutines.
  boost::asio::awaitable<Observation> observe(Builder* builder);

  // Asks buildkitd whether it is alive and who is connected; a frozen one keeps this waiting for ten seconds.
  // False: an event overtook the question, so look again instead of deciding.
  boost::asio::awaitable<bool> ask(Builder* builder, Observation* seen);

 private:
  ports::Async<void> inspect(const Builder* builder, Observation* into);

  ObserverPorts ports_;
  PathSettings paths_;
};

}  // namespace buildwarden::builders
