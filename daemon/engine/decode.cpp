#include "daemon/engine/decode.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "common/short_ids.h"
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

}  // namespace buildwarden::engine
