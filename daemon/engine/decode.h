// The engine's answers as values. Pure: text in, values or kProtocol out, for every API version from 1.41 on; text from
// anywhere is safe. A list with one record that cannot be understood is an error as a whole: half a list would make
// what is missing look unused.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "daemon/policy/builder.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/ports/engine.h"

namespace buildwarden::engine {

// GET /info; `api_version` stays empty.
Result<ports::EngineIdentity> decode_identity(std::string_view text);

// GET /images/json, without layers. "<none>:<none>" is no tag, "<none>@<none>" no digest, and a name with a digest is
// no tag wherever it stands.
Result<std::vector<ports::ImageRecord>> decode_images(std::string_view text);

// GET /images/{name}/json: its layers, of this host's platform where it has several.
Result<policy::LayerChain> decode_layers(std::string_view text);

// GET /containers/json.
Result<std::vector<ports::ContainerRecord>> decode_containers(std::string_view text);

// GET /containers/{id}/json.
Result<policy::ObservedContainer> decode_container(std::string_view text);

// GET /containers/{id}/json, with its times, its restart policy and, if it was asked for, its size.
Result<ports::ContainerDetails> decode_details(std::string_view text);

// GET /containers/{id}/json: the images that it mounts.
Result<std::set<std::string>> decode_mounted_images(std::string_view text);

// GET /networks.
Result<std::vector<ports::NetworkRecord>> decode_networks(std::string_view text);

// GET /volumes.
Result<std::vector<ports::VolumeRecord>> decode_volumes(std::string_view text);

// GET /system/df, before and from 1.52 on. A record that was never used counts from its creation.
Result<std::vector<policy::CacheRecord>> decode_cache(std::string_view text);

// POST /build/prune: what it says it deleted and freed.
struct PrunedCache {
  std::vector<std::string> ids;
  Bytes bytes = 0;
};
Result<PrunedCache> decode_pruned(std::string_view text);

// The "Id" of an answer: POST /containers/create, POST /containers/{id}/exec, GET /images/{name}/json.
Result<std::string> decode_id(std::string_view text);

// GET /exec/{id}/json.
struct ExecState {
  bool running = false;
  int exit_code = -1;  // of one that ended
};
Result<ExecState> decode_exec(std::string_view text);

// POST /containers/{id}/wait: the exit code.
Result<int> decode_wait(std::string_view text);

// One line of GET /events; `nanos` is its exact time since 1970, what `since` takes.
struct StreamedEvent {
  ports::EngineEvent event;
  std::int64_t nanos = 0;
};
Result<StreamedEvent> decode_event(std::string_view line);

// One line of progress of a pull or load: kUnavailable with the engine's words when it tells of an error.
Result<void> decode_progress(std::string_view line);

// The words of an answer above 399: its "message", or the start of the text itself.
std::string decode_message(std::string_view text);

}  // namespace buildwarden::engine
