// What decode.h says of containers that ended, of networks and of volumes.
#include <algorithm>
#include <array>

#include "daemon/engine/decode.h"
#include "daemon/engine/decode_parts.h"

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

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
