#include "daemon/engine/decode.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <utility>

#include "common/format.h"
#include "common/short_ids.h"
#include "daemon/engine/decode_parts.h"
#include "daemon/engine/json.h"

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

constexpr std::size_t kLongestMessage = 400;

// Parses `text` and gives its root to `read`, which returns a Result.
template <class T>
Result<T> decoded(std::string_view text, std::string_view what, Result<T> (*read)(const json::value&)) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context(what);
  return read(*root).with_context(what);
}

constexpr std::string_view kSnapshotter = "io.containerd.snapshotter.v1";

// Engine API, GET /info: DriverStatus is a list of pairs; containerd's image store tells its driver's type there.
bool is_snapshotter(const json::value* driver_status) {
  const auto* pairs = driver_status == nullptr ? nullptr : driver_status->if_array();
  if (pairs == nullptr) return false;
  return std::any_of(pairs->begin(), pairs->end(), [](const json::value& pair) {
    const auto* words = pair.if_array();
    if (words == nullptr || words->size() != 2 || !(*words)[0].is_string() || !(*words)[1].is_string()) return false;
    return (*words)[0].get_string() == "driver-type" && (*words)[1].get_string() == kSnapshotter;
  });
}

std::string containerd_socket(const FieldReader& engine) {
  const auto* containerd = engine.find("Containerd");
  if (containerd == nullptr) return "";
  FieldReader fields(*containerd, "the engine's containerd");
  auto address = fields.optional_text("Address");
  constexpr std::string_view kScheme = "unix://";
  return address.starts_with(kScheme) ? address.substr(kScheme.size()) : address;
}

Result<ports::EngineIdentity> read_identity(const json::value& root) {
  FieldReader fields(root, "the engine");
  ports::EngineIdentity identity;
  identity.id = fields.text("ID");
  identity.root_dir = fields.text("DockerRootDir");
  identity.version = fields.text("ServerVersion");
  for (const auto& option : fields.optional_list("SecurityOptions")) {
    if (option == "name=userns" || option.starts_with("name=userns,")) identity.userns_remap = true;
  }
  identity.proxies.http = fields.optional_text("HttpProxy");
  identity.proxies.https = fields.optional_text("HttpsProxy");
  identity.proxies.none_for = fields.optional_text("NoProxy");
  if (is_snapshotter(fields.find("DriverStatus"))) identity.snapshotter = fields.text("Driver");
  identity.containerd = containerd_socket(fields);
  if (identity.id.empty() || identity.root_dir.empty()) fields.fail("tells no ID or no DockerRootDir");
  if (auto read = fields.result(); !read) return std::move(read).error();
  return identity;
}

Result<PrunedCache> read_pruned(const json::value& root) {
  FieldReader fields(root, "the prune");
  PrunedCache pruned;
  pruned.bytes = fields.number("SpaceReclaimed");
  pruned.ids = fields.optional_list("CachesDeleted");
  if (auto read = fields.result(); !read) return std::move(read).error();
  return pruned;
}

Result<std::string> read_id(const json::value& root) {
  FieldReader fields(root, "the answer");
  auto id = fields.name("Id");
  if (id.empty()) fields.fail("has no Id");
  if (auto read = fields.result(); !read) return std::move(read).error();
  return id;
}

Result<ExecState> read_exec(const json::value& root) {
  FieldReader fields(root, "the command");
  ExecState state;
  state.running = fields.flag("Running");
  if (!state.running) state.exit_code = static_cast<int>(fields.number("ExitCode"));
  if (auto read = fields.result(); !read) return std::move(read).error();
  return state;
}

Result<StreamedEvent> read_event(const json::value& root) {
  FieldReader fields(root, "the event");
  StreamedEvent streamed;
  streamed.event.type = fields.text("Type");
  streamed.event.action = fields.text("Action");
  streamed.nanos = fields.number("timeNano");
  FieldReader actor(fields.member("Actor"), "the event's actor");
  streamed.event.id = actor.optional_text("ID");
  streamed.event.attributes = actor.optional_texts("Attributes");
  streamed.event.at = WallTime{std::chrono::duration_cast<Duration>(std::chrono::nanoseconds{streamed.nanos})};
  if (auto read = fields.result(); !read) return std::move(read).error();
  if (auto read = actor.result(); !read) return std::move(read).error();
  return streamed;
}

// 0 of what is no number of a volume.
int volume_number(const std::string& label) {
  int number = 0;
  const auto [end, failed] = std::from_chars(label.data(), label.data() + label.size(), number);
  const bool whole = failed == std::errc{} && end == label.data() + label.size();
  return whole && number > 0 ? number : 0;
}

int small_number(FieldReader& fields, std::string_view name) {
  const auto number = fields.optional_number(name);
  return number >= 0 && number <= std::numeric_limits<int>::max() ? static_cast<int>(number) : 0;
}

void read_life(FieldReader& state, policy::ObservedContainer& container) {
  container.state = read_state(state, "Status");
  container.pid = small_number(state, "Pid");
  container.exit_code = small_number(state, "ExitCode");
  container.ended = state.optional_text("FinishedAt");
}

void read_labels(FieldReader& config, policy::ObservedContainer& container) {
  auto labels = config.optional_texts("Labels");
  container.ours = labels[std::string(ports::kOwnerLabel)] == ports::kOwner;
  container.spec_digest = labels[std::string(ports::kSpecLabel)];
  container.volume = volume_number(labels[std::string(ports::kVolumeLabel)]);
}

// Of the default installation and of a swarm.
constexpr std::array<std::string_view, 5> kPredefined = {"bridge", "host", "none", "docker_gwbridge", "ingress"};

// "on-failure" starts a container again that failed, also when the engine starts.
bool may_come_back(std::string_view policy, std::int64_t exit_code) {
  if (policy.empty() || policy == "no") return false;
  return policy != "on-failure" || exit_code != 0;
}

// A container that never started or never ended tells Go's zero time, or nothing.
WallTime optional_time(FieldReader& fields, std::string_view name) {
  return fields.optional_text(name).empty() ? WallTime::min() : read_time(fields, name);
}

Result<ports::ContainerDetails> read_details(const json::value& root) {
  FieldReader fields(root, "the container");
  ports::ContainerDetails details;
  details.id = fields.name("Id");
  details.size = fields.optional_number("SizeRw");
  details.commands = static_cast<int>(fields.optional_list("ExecIDs").size());
  const auto created = read_time(fields, "Created");
  FieldReader state(fields.member("State"), "the container's state");
  details.state = read_state(state, "Status");
  const auto started = optional_time(state, "StartedAt");
  const auto finished = optional_time(state, "FinishedAt");
  details.last_active = std::max({created, started, finished});
  FieldReader host(fields.member("HostConfig"), "the container's host configuration");
  FieldReader restart(host.member("RestartPolicy"), "the container's restart policy");
  details.comes_back = may_come_back(restart.optional_text("Name"), state.optional_number("ExitCode"));
  for (const auto* reader : {&fields, &state, &host, &restart}) {
    if (auto read = reader->result(); !read) return std::move(read).error();
  }
  return details;
}

Result<ports::NetworkRecord> read_network(const json::value& value) {
  FieldReader fields(value, "a network");
  ports::NetworkRecord network;
  network.id = fields.name("Id");
  network.name = fields.name("Name");
  network.created = read_time(fields, "Created");
  network.labels = fields.optional_texts("Labels");
  const bool predefined = std::find(kPredefined.begin(), kPredefined.end(), network.name) != kPredefined.end();
  const bool special = fields.flag("Ingress") || fields.flag("ConfigOnly") || fields.text("Scope") != "local";
  network.made_by_engine = predefined || special;
  if (auto read = fields.result(); !read) return std::move(read).error();
  return network;
}

Result<ports::VolumeRecord> read_volume(const json::value& value) {
  FieldReader fields(value, "a volume");
  ports::VolumeRecord volume;
  volume.name = fields.name("Name");
  if (fields.find("CreatedAt") != nullptr) volume.created = read_time(fields, "CreatedAt");
  volume.labels = fields.optional_texts("Labels");
  volume.is_plain = fields.text("Driver") == "local" && fields.optional_texts("Options").empty();
  if (auto read = fields.result(); !read) return std::move(read).error();
  return volume;
}

}  // namespace

Result<ports::EngineIdentity> decode_identity(std::string_view text) {
  return decoded<ports::EngineIdentity>(text, "the engine's description", read_identity);
}

Result<PrunedCache> decode_pruned(std::string_view text) {
  return decoded<PrunedCache>(text, "the answer to a prune", read_pruned);
}

Result<std::string> decode_id(std::string_view text) {
  return decoded<std::string>(text, "the engine's answer", read_id);
}

Result<ExecState> decode_exec(std::string_view text) {
  return decoded<ExecState>(text, "the state of a command", read_exec);
}

Result<int> decode_wait(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("the end of a container");
  FieldReader fields(*root, "the answer");
  const auto code = fields.number("StatusCode");
  if (auto read = fields.result(); !read) return std::move(read).error().with_context("the end of a container");
  return static_cast<int>(code);
}

Result<StreamedEvent> decode_event(std::string_view line) {
  if (line.starts_with('\x1e')) line.remove_prefix(1);  // as JSON text sequences begin (RFC 7464)
  return decoded<StreamedEvent>(line, "a line of the event stream", read_event);
}

Result<void> decode_progress(std::string_view line) {
  auto root = parse_json(line);
  if (!root) return std::move(root).error().with_context("a line of progress");
  FieldReader fields(*root, "the line");
  const auto words = fields.optional_text("error");
  if (auto read = fields.result(); !read) return std::move(read).with_context("a line of progress");
  if (!words.empty()) return Error(Errc::kUnavailable, words);
  return {};
}

std::string decode_message(std::string_view text) {
  if (auto root = parse_json(text)) {
    FieldReader fields(*root, "the error");
    auto words = fields.optional_text("message");
    if (!words.empty()) return with_short_ids(words);
  }
  std::string words(text.substr(0, kLongestMessage));
  while (!words.empty() && (words.back() == '\n' || words.back() == '\r')) words.pop_back();
  return words.empty() ? "without a message" : with_short_ids(words);
}

Result<policy::ObservedContainer> decode_container(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("a container's description");
  FieldReader fields(*root, "the container");
  policy::ObservedContainer container;
  container.id = fields.name("Id");
  container.image_id = fields.text("Image");
  container.restarts = small_number(fields, "RestartCount");
  FieldReader state(fields.member("State"), "the container's state");
  read_life(state, container);
  FieldReader config(fields.member("Config"), "the container's configuration");
  read_labels(config, container);
  for (const auto* reader : {&fields, &state, &config}) {
    if (auto read = reader->result(); !read) return std::move(read).error().with_context("a container's description");
  }
  return container;
}

Result<ports::ContainerDetails> decode_details(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("a container's description");
  return read_details(*root).with_context("a container's description");
}

Result<std::vector<ports::VolumeRecord>> decode_volumes(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("the list of volumes");
  FieldReader fields(*root, "the answer");
  const auto* volumes = fields.find("Volumes");  // null: none
  if (volumes != nullptr) return read_list(*volumes, read_volume).with_context("the list of volumes");
  const auto* object = root->if_object();
  if (object == nullptr || !object->contains("Volumes")) fields.fail("has no Volumes");
  if (auto read = fields.result(); !read) return std::move(read).error().with_context("the list of volumes");
  return std::vector<ports::VolumeRecord>{};
}

Result<std::vector<ports::NetworkRecord>> decode_networks(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("the list of networks");
  return read_list(*root, read_network).with_context("the list of networks");
}

}  // namespace buildwarden::engine
