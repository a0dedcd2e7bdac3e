// The Docker engine as the rooms need it: plain values, small interfaces, implemented by daemon/engine.
// Every call has its own deadline; errors: kUnavailable (no engine), kTimeout, kNotFound (404), kConflict (409),
// kProtocol (an answer that is not what the API promises), kInvalid (400).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/time.h"
#include "daemon/policy/builder.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/ports/sensor.h"

namespace buildwarden::ports {

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

// The proxies that the engine goes through; "" where there is none. It hides a login: "http://xxxxx:xxxxx@proxy:3128".
struct EngineProxies {
  std::string http;
  std::string https;
  std::string none_for;  // NO_PROXY
  friend bool operator==(const EngineProxies&, const EngineProxies&) = default;
};

// Which engine this is. Facts about images and containers are valid for one `id` + `root_dir` only.
struct EngineIdentity {
  std::string id;
  std::string root_dir;
  std::string version;      // "26.1.5"
  std::string api_version;  // negotiated: "1.45"
  bool userns_remap = false;
  EngineProxies proxies{};
  // The snapshotter of containerd that has the images and containers (containerd's image store); "": they lie in
  // root_dir.
  std::string snapshotter{};
  std::string containerd{};  // the path of containerd's socket; "" where the engine does not tell it (before API 1.46)
  friend bool operator==(const EngineIdentity&, const EngineIdentity&) = default;
};

struct EngineStatus {
  bool up = false;
  std::string reason;        // why not, one sentence
  EngineIdentity identity;   // the last known; id empty before the first contact
  std::optional<Now> since;  // up or down since
  SensorRecord pings;        // its heartbeat
};

using ImageRecord = policy::ImageRecord;

struct ContainerRecord {
  std::string id;
  std::string name;   // without the leading slash
  std::string image;  // as it was asked for
  std::string image_id;
  policy::ContainerState state = policy::ContainerState::kMissing;
  WallTime created;
  std::map<std::string, std::string> labels;
  std::set<std::string> networks;  // that it is attached to when it runs: names, and ids where the engine tells them
  std::set<std::string> volumes;   // the names of those that it mounts, running or not
  std::set<std::string> mounted_images;  // that it mounts (`--mount type=image`), by the names that were asked for
};

// A container as its own description shows it.
struct ContainerDetails {
  std::string id;
  policy::ContainerState state = policy::ContainerState::kMissing;
  WallTime last_active;     // the latest of its creation, its last start and its last end
  bool comes_back = false;  // its restart policy may start it without anybody asking
  Bytes size = 0;           // of its own layer; 0 when that was not asked for
  int commands = 0;         // that somebody runs in it with exec, or has prepared to run
};

struct NetworkRecord {
  std::string id;
  std::string name;
  WallTime created;
  bool made_by_engine = false;  // predefined, of a swarm, or a template: nobody's to delete
  std::map<std::string, std::string> labels;
};

class EngineState {
 public:
  virtual ~EngineState() = default;
  [[nodiscard]] virtual EngineStatus status() const = 0;
};

class Images {
 public:
  virtual ~Images() = default;
  // With their layers: an image that was not listed before is asked about once more, and its answer kept.
  virtual Async<std::vector<ImageRecord>> list_images() = 0;
  // Untags `reference` (a tag, a digest, or an id for a dangling image), without force; the engine deletes the image
  // with its last reference. kConflict: in use; kNotFound: gone. Both are results, not failures.
  virtual Async<void> remove_image(std::string reference) = 0;
  // The image's id behind a reference, now.
  virtual Async<std::string> image_id(std::string reference) = 0;
};

// How images come onto the host.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // Loads a `docker save` archive of the host; minutes, so with a long deadline of its own.
  virtual Async<void> load_archive(std::string path) = 0;
  virtual Async<void> pull(std::string reference) = 0;
};

// What a prune by id came to.
struct CachePrune {
  Bytes freed = 0;             // by the cache's own figure; trust statvfs
  std::set<std::string> left;  // asked for and still there: in use, used meanwhile, or something was built on it
};

class BuildCache {
 public:
  virtual ~BuildCache() = default;
  virtual Async<std::vector<policy::CacheRecord>> cache_records() = 0;
  // Deletes those records that were unused for `unused_for`; children stand before their parents. BuildKit passes over
  // in silence what has children or is in use, so whatever its answer does not name is looked for afterwards. kInvalid:
  // an id that is none (policy::is_cache_id).
  virtual Async<CachePrune> prune_cache(std::vector<std::string> ids, Duration unused_for) = 0;
};

class Containers {
 public:
  virtual ~Containers() = default;
  virtual Async<std::vector<ContainerRecord>> list_containers() = 0;                 // all states
  virtual Async<policy::ObservedContainer> inspect_container(std::string name) = 0;  // missing is a state, not an error
  // The names of the images that it mounts beside its own; kNotFound: gone. None before API 1.48.
  virtual Async<std::set<std::string>> mounted_images(std::string id) = 0;
};

// What is left of containers that do not run.
class EndedContainers {
 public:
  virtual ~EndedContainers() = default;
  // `measure`: with its size, for which the engine walks the container's layer. kNotFound: gone.
  virtual Async<ContainerDetails> describe_container(std::string id, bool measure) = 0;
  // Not by force, and with its anonymous volumes that no other container mounts; named ones stay. kConflict: it runs,
  // or is being removed; kNotFound: gone. Both are results.
  virtual Async<void> remove_ended_container(std::string id) = 0;
  // Gives it 10 s to end by itself. Fine when it does not run already; kNotFound: gone.
  virtual Async<void> stop_container(std::string id) = 0;
};

struct VolumeRecord {
  std::string name;
  std::optional<WallTime> created;  // nothing where the driver does not know
  // Of the engine's own driver, without options: its files lie below the engine's data root.
  bool is_plain = false;
  std::map<std::string, std::string> labels;
};

// Labels every volume that the engine made because nobody gave it a name (from engine 23.0 on).
inline constexpr std::string_view kAnonymousLabel = "com.docker.volume.anonymous";

class Volumes {
 public:
  virtual ~Volumes() = default;
  // Those whose name contains `part` (all with ""), without their sizes: the engine would walk through them.
  virtual Async<std::vector<VolumeRecord>> list_volumes(std::string part) = 0;
  // Not by force. kConflict: a container mounts it; kNotFound: gone. Both are results.
  virtual Async<void> remove_volume(std::string name) = 0;
};

class NewVolumes {
 public:
  virtual ~NewVolumes() = default;
  // Of the engine's own driver. One of that name that is there already is fine, and stays as it is.
  virtual Async<void> create_volume(std::string name) = 0;
};

class Networks {
 public:
  virtual ~Networks() = default;
  virtual Async<std::vector<NetworkRecord>> list_networks() = 0;
  // kDenied and kConflict: in use, or not to be deleted; kNotFound: gone. All are results.
  virtual Async<void> remove_network(std::string id) = 0;
};

// The labels of every container that is ours: whose it is, and what it was created from (policy's `spec_digest`).
inline constexpr std::string_view kOwnerLabel = "com.buildwarden.owner";
inline constexpr std::string_view kOwner = "buildwarden";
inline constexpr std::string_view kSpecLabel = "com.buildwarden.spec";
// The number of the volume that a builder's container is on (policy's `volume`).
inline constexpr std::string_view kVolumeLabel = "com.buildwarden.volume";

struct Mount {
  bool is_volume = false;  // else a bind of a host path
  std::string source;
  std::string target;
  bool read_only = false;
};

struct ContainerSpec {
  std::string name;
  std::string image;
  std::vector<std::string> entrypoint;  // empty: the image's
  std::vector<std::string> command;
  std::map<std::string, std::string> labels;
  std::vector<Mount> mounts;
  bool privileged = false;
  bool init = false;
  bool read_only_root = false;
  bool drop_all_capabilities = false;
  bool host_userns = false;
  bool restart_unless_stopped = false;
  std::string network;                   // "" = the engine's default; "none"; "host"
  std::string runtime;                   // "" = the engine's default
  std::vector<std::string> env;          // "NAME=value"
  std::vector<std::string> dns;          // addresses; empty: as the engine has it
  std::vector<std::string> extra_hosts;  // "name:address" or "name:host-gateway"
  std::string stop_signal;
  Bytes memory = 0;            // 0: no limit
  std::int64_t nano_cpus = 0;  // 0: no limit
};

// kRestart: killed at once, for what does not react any more. kRemove: by force, with its anonymous volumes; named ones
// stay.
enum class ContainerVerb : std::uint8_t { kStart, kPause, kUnpause, kRestart, kRemove };

class ContainerControl {
 public:
  virtual ~ContainerControl() = default;
  virtual Async<std::string> create_container(ContainerSpec spec) = 0;  // its id; not started
  virtual Async<void> act_on_container(std::string id, ContainerVerb verb) = 0;
  // Runs a command in a container and waits for it. kConflict: it does not run; kTooLarge: it writes far more than
  // `output`.
  struct ExecLimits {
    Duration deadline = std::chrono::seconds{60};
    Bytes output = kMiB;  // of stdout, and as much of stderr
  };
  struct ExecResult {
    int exit_code = -1;
    std::string output;  // stdout
    std::string errors;  // stderr
    bool cut = false;    // one of them was longer
  };
  virtual Async<ExecResult> exec_in_container(std::string id, std::vector<std::string> command, ExecLimits limits) = 0;
};

class ContainerOutput {
 public:
  virtual ~ContainerOutput() = default;
  // Waits until a container has ended, for `limits.deadline`, and gives what it wrote. kTimeout: it still runs.
  virtual Async<ContainerControl::ExecResult> await_container(std::string id, ContainerControl::ExecLimits limits) = 0;
};

// One message of GET /events.
struct EngineEvent {
  std::string type;                               // "container", "image", "builder", "volume", …
  std::string action;                             // "die", "start", "exec_create: buildctl dial-stdio", "pull", …
  std::string id;                                 // the actor's
  std::map<std::string, std::string> attributes;  // "name", "image", …
  WallTime at;
  // Happened before the engine was first reached: news for the memory of last use, nobody else acts on it.
  bool before_start = false;
};

class EngineEvents {
 public:
  virtual ~EngineEvents() = default;
  // Called on the loop for each event that somebody here listens for (the filters of engine/link.cpp), in order: of
  // what is run in containers (exec_create, exec_die) only in those of buildx; before the first connect for all that
  // the engine still remembers (its last 256 events since its own start). Listeners live as long as the daemon.
  virtual void on_event(std::function<void(const EngineEvent&)> listener) = 0;
  // Called after each (re)connect, when the stream is open but events may have been lost: relist. `gap` is how long the
  // stream was closed; nothing on the first connect.
  virtual void on_connected(std::function<void(const EngineIdentity&, std::optional<Duration> gap)> listener) = 0;
  // Called when the engine stops answering.
  virtual void on_lost(std::function<void(const std::string& reason)> listener) = 0;
};

}  // namespace buildwarden::ports
