#include "daemon/engine/engine.h"

#include <utility>

namespace buildwarden::engine {

Engine::Engine(EngineSettings settings, EngineParts parts, LinkTimes times)
    : settings_(std::move(settings)),
      workers_(parts.workers),
      transport_(settings_.socket, parts.workers, std::move(parts.on_call)),
      link_(transport_, parts.clock, parts.journal, times) {}

void Engine::on_event(std::function<void(const ports::EngineEvent&)> listener) { link_.on_event(std::move(listener)); }

void Engine::on_connected(std::function<void(const ports::EngineIdentity&, std::optional<Duration>)> listener) {
  link_.on_connected(std::move(listener));
}

void Engine::on_lost(std::function<void(const std::string&)> listener) { link_.on_lost(std::move(listener)); }

}  // namespace buildwarden::engine
