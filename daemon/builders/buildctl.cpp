#include "daemon/builders/buildctl.h"

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "common/format.h"
#include "common/time.h"
#include "daemon/builders/json_text.h"

namespace buildwarden::builders {
namespace json = boost::json;

namespace {

constexpr const char* kJson = "{{json .}}";

// The Dockerfile is a file of its own for each run, and gone with it. The log is long; of a failure its end tells why.
constexpr const char* kFetchScript =
    "set -eu; d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT; "
    "printf 'FROM %s AS image\\nFROM scratch\\nCOPY --from=image /.buildwarden-no-such-file* /\\n' \"$1\" > "
    "\"$d/Dockerfile\"; "
    "buildctl build --frontend dockerfile.v0 --local context=\"$d\" --local dockerfile=\"$d\" --progress plain "
    "> \"$d/log\" 2>&1 || { tail -n 3 \"$d/log\" >&2; exit 1; }";

// The history's own JSON has each build's attributes, its secrets among them: only names are asked for.
constexpr const char* kStepsScript =
    "for ref in $(buildctl debug histories --format '{{with .Record}}{{if .CompletedAt}}{{.Ref}}{{end}}{{end}}'); do "
    "buildctl debug logs --progress rawjson \"$ref\" || true; done";

Error unreadable(std::string_view why) { return {Errc::kProtocol, format("buildctl's answer {}", why)}; }

Result<json::value> parse(std::string_view text) {
  boost::system::error_code broken;
  auto memory = json::make_shared_resource<json::monotonic_resource>();  // nothing is freed before the whole is
  auto value = json::parse({text.data(), text.size()}, broken, std::move(memory));
  if (broken) return unreadable(format("is not JSON: {}", broken.message()));
  return value;
}

// Nothing when it is absent or null.
Result<std::optional<WallTime>> time_of(const json::object& record, const char* name) {
  const auto* value = record.if_contains(name);
  if (value == nullptr || value->is_null()) return std::optional<WallTime>{};
  const auto* text = value->if_string();
  const auto time = parse_rfc3339(text == nullptr ? std::string_view{} : std::string_view(text->data(), text->size()));
  if (!time) return unreadable(format("has a {} that is no time", name));
  return std::optional<WallTime>{*time};
}

// BuildKit says -1 of a size that it could not find out.
Result<Bytes> size_of(const json::object& record) {
  const auto* value = record.if_contains("size");
  if (value == nullptr || !value->is_int64()) return unreadable("has a record without size");
  return std::max<Bytes>(value->get_int64(), 0);
}

Result<bool> flag_of(const json::object& record, const char* name) {
  const auto* value = record.if_contains(name);
  if (value == nullptr || !value->is_bool()) return unreadable(format("has a record without {}", name));
  return value->get_bool();
}

Result<std::string> id_of(const json::object& record) {
  const auto* id = record.if_contains("id");
  if (id == nullptr || !id->is_string() || id->get_string().empty()) return unreadable("has a record without id");
  return std::string(id->get_string().data(), id->get_string().size());
}

// None where it is absent or null.
Result<std::vector<std::string>> parents_of(const json::object& record) {
  std::vector<std::string> parents;
  const auto* value = record.if_contains("parents");
  if (value == nullptr || value->is_null()) return parents;
  const auto* list = value->if_array();
  if (list == nullptr) return unreadable("has a record whose parents are no list");
  for (const auto& item : *list) {
    const auto* id = item.if_string();
    if (id == nullptr) return unreadable("has a parent that is no id");
    parents.emplace_back(id->data(), id->size());
  }
  return parents;
}

Result<policy::CacheRecord> record_of(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return unreadable("has a record that is none");
  auto id = id_of(*object);
  if (!id) return std::move(id).error();
  const auto size = size_of(*object);
  if (!size) return size.error();
  const auto in_use = flag_of(*object, "inUse");
  if (!in_use) return in_use.error();
  const auto shared = flag_of(*object, "shared");
  if (!shared) return shared.error();
  const auto created = time_of(*object, "createdAt");
  if (!created) return created.error();
  const auto used = time_of(*object, "lastUsedAt");
  if (!used) return used.error();
  if (!*created && !*used) return unreadable("has a record without a time");
  policy::CacheRecord record;
  record.id = *std::move(id);
  record.size = *size;
  record.in_use = *in_use;
  record.shared = *shared;
  // Go's zero time, too, means never.
  record.last_used = std::max(created->value_or(WallTime::min()), used->value_or(WallTime::min()));
  auto parents = parents_of(*object);
  if (!parents) return std::move(parents).error();
  record.parents = *std::move(parents);
  record.created = created->value_or(WallTime{});
  const auto* uses = object->if_contains("usageCount");
  if (uses != nullptr && uses->is_int64())
    record.uses = static_cast<std::uint64_t>(std::max<std::int64_t>(uses->get_int64(), 0));
  record.description = text_of(*object, "description");
  record.type = text_of(*object, "recordType");
  return record;
}

// A step as one line tells of it; nothing while it has not ended, or when it ended badly.
std::optional<policy::BuildStep> step_of(const json::object& vertex) {
  const auto* cached = vertex.if_contains("cached");
  const bool was_cached = cached != nullptr && cached->is_bool() && cached->get_bool();
  const auto started = time_of(vertex, "started");
  const auto completed = time_of(vertex, "completed");
  if (was_cached || !started || !completed || !*started || !*completed) return std::nullopt;
  if (!text_of(vertex, "error").empty()) return std::nullopt;
  return policy::BuildStep{text_of(vertex, "name"), **started, **completed};
}

// Each step is told of again and again, the last time as it ended.
using StepsByDigest = std::map<std::string, policy::BuildStep>;

void read_steps(const json::value& line, StepsByDigest& steps) {
  const auto* status = line.if_object();
  const auto* vertexes = status == nullptr ? nullptr : status->if_contains("vertexes");
  const auto* list = vertexes == nullptr ? nullptr : vertexes->if_array();
  if (list == nullptr) return;
  for (const auto& item : *list) {
    const auto* vertex = item.if_object();
    if (vertex == nullptr) continue;
    auto step = step_of(*vertex);
    if (step) steps.insert_or_assign(text_of(*vertex, "digest"), *std::move(step));
  }
}

}  // namespace

std::vector<std::string> usage_command() { return {"buildctl", "du", "--format", kJson}; }

std::vector<std::string> forget_command() { return {"buildctl", "prune-histories"}; }

std::vector<std::string> prune_command(std::span<const std::string> ids, Duration unused_for) {
  // With --all also frontends and internal records: they count as well, and would stay for ever.
  std::vector<std::string> command = {"buildctl", "prune", "--all", "--format", kJson};
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::max(unused_for, Duration{0})).count();
  command.insert(command.end(), {"--keep-duration", format("{}s", seconds)});
  // One filter each: any of them lets a record go. (A pattern would be compiled anew for each record.)
  for (const auto& id : ids) command.insert(command.end(), {"--filter", format("id=={}", id)});
  return command;
}

Result<std::vector<std::string>> fetch_command(std::string_view reference) {
  const bool visible =
      std::all_of(reference.begin(), reference.end(), [](char one) { return one > ' ' && one <= '~'; });
  if (reference.empty() || reference.front() == '-' || !visible) {
    return Error(Errc::kInvalid, format("\"{}\" is no image reference", reference));
  }
  return std::vector<std::string>{"sh", "-c", kFetchScript, "fetch", std::string(reference)};
}

Result<std::vector<policy::CacheRecord>> decode_usage(std::string_view text) {
  const auto root = parse(text);
  if (!root) return root.error();
  std::vector<policy::CacheRecord> records;
  if (root->is_null()) return records;
  const auto* list = root->if_array();
  if (list == nullptr) return unreadable("is no list");
  records.reserve(list->size());
  for (const auto& item : *list) {
    auto record = record_of(item);
    if (!record) return std::move(record).error();
    records.push_back(*std::move(record));
  }
  return records;
}

std::vector<std::string> steps_command() { return {"sh", "-c", kStepsScript}; }

Result<std::vector<policy::BuildStep>> decode_steps(std::string_view text) {
  // One build's line after another: the same step of two builds has the same digest, and both tell of it.
  std::vector<policy::BuildStep> all;
  std::set<std::pair<std::string, WallTime>> known;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with('{') || line.find("\"vertexes\"") == std::string_view::npos) continue;
    const auto value = parse(line);
    if (!value) continue;
    StepsByDigest steps;
    read_steps(*value, steps);
    for (auto& [digest, step] : steps) {
      if (known.emplace(digest, step.completed).second) all.push_back(std::move(step));
    }
  }
  return all;
}

Result<Pruned> decode_pruned(std::string_view text) {
  Pruned pruned;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \r\t") == std::string_view::npos) continue;
    const auto value = parse(line);
    if (!value) return value.error();
    if (!value->is_object()) return unreadable("has a record that is none");
    const auto& record = value->get_object();
    auto id = id_of(record);
    if (!id) return std::move(id).error();
    const auto size = size_of(record);
    const auto shared = flag_of(record, "shared");
    if (!size || !shared) return size ? shared.error() : size.error();
    pruned.ids.insert(*std::move(id));
    pruned.bytes += *shared ? 0 : *size;
  }
  return pruned;
}

}  // namespace buildwarden::builders
