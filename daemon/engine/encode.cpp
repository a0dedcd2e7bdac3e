#include "daemon/engine/encode.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <chrono>

#include "common/format.h"

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

std::string percent_encoded(std::string_view text, std::string_view also_plain) {
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        byte < 0x80 && (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string::npos);
    if (plain || also_plain.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += format("%{:02X}", byte);
    }
  }
  return encoded;
}

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

json::array list_of(const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); }

json::array mounts_of(const ports::ContainerSpec& spec) {
  json::array mounts;
  for (const auto& mount : spec.mounts) {
    json::object entry;
    entry["Type"] = mount.is_volume ? "volume" : "bind";
    entry["Source"] = mount.source;
    entry["Target"] = mount.target;
    entry["ReadOnly"] = mount.read_only;
    mounts.emplace_back(std::move(entry));
  }
  return mounts;
}

json::object host_config_of(const ports::ContainerSpec& spec) {
  json::object host;
  host["Mounts"] = mounts_of(spec);
  host["Privileged"] = spec.privileged;
  host["Init"] = spec.init;
  host["ReadonlyRootfs"] = spec.read_only_root;
  if (spec.drop_all_capabilities) host["CapDrop"] = json::array({"ALL"});
  if (spec.host_userns) host["UsernsMode"] = "host";
  if (spec.restart_unless_stopped) host["RestartPolicy"] = json::object({{"Name", "unless-stopped"}});
  if (!spec.network.empty()) host["NetworkMode"] = spec.network;
  if (!spec.runtime.empty()) host["Runtime"] = spec.runtime;
  if (!spec.dns.empty()) host["Dns"] = list_of(spec.dns);
  if (!spec.extra_hosts.empty()) host["ExtraHosts"] = list_of(spec.extra_hosts);
  if (spec.memory > 0) host["Memory"] = spec.memory;
  if (spec.nano_cpus > 0) host["NanoCpus"] = spec.nano_cpus;
  return host;
}

}  // namespace

std::string encode_query(const Query& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    text += format("{}{}={}", text.empty() ? "?" : "&", name, percent_encoded(value, {}));
  }
  return text;
}

Result<std::string> encode_name(std::string_view name) {
  const auto segments = "/" + std::string(name) + "/";
  for (const auto* odd : {"//", "/./", "/../"}) {
    if (segments.find(odd) != std::string::npos) return Error(Errc::kInvalid, format("\"{}\" is not a name", name));
  }
  return percent_encoded(name, "/:@");
}

std::string encode_container(const ports::ContainerSpec& spec) {
  json::object container;
  container["Image"] = spec.image;
  if (!spec.entrypoint.empty()) container["Entrypoint"] = list_of(spec.entrypoint);
  if (!spec.env.empty()) container["Env"] = list_of(spec.env);
  if (!spec.command.empty()) container["Cmd"] = list_of(spec.command);
  json::object labels;
  for (const auto& [name, value] : spec.labels) labels[view(name)] = value;
  container["Labels"] = std::move(labels);
  if (!spec.stop_signal.empty()) container["StopSignal"] = spec.stop_signal;
  container["HostConfig"] = host_config_of(spec);
  return json::serialize(container);
}

std::string encode_exec(const std::vector<std::string>& command) {
  json::object exec;
  exec["AttachStdout"] = true;
  exec["AttachStderr"] = true;
  exec["Tty"] = false;
  exec["Cmd"] = list_of(command);
  return json::serialize(exec);
}

std::string encode_exec_start() { return R"({"Detach":false,"Tty":false})"; }

Query prune_query(std::span<const std::string> ids, Duration unused_for) {
  std::string pattern;
  for (const auto& id : ids) pattern += (pattern.empty() ? "^(" : "|") + id;
  json::object filters;
  filters["id"] = json::object{{pattern + ")$", true}};
  if (unused_for > Duration{0}) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(unused_for).count();
    filters["until"] = json::object{{format("{}s", seconds), true}};
  }
  // With `all` also internal records, and what an image shares.
  return {{"all", "1"}, {"filters", json::serialize(filters)}};
}

std::string encode_volume(const std::string& name) {
  json::object volume;
  volume["Name"] = json::string(name);
  return json::serialize(volume);
}

std::string encode_name_filter(std::string_view part) {
  json::object filters;
  filters["name"] = json::array{json::string(part)};
  return json::serialize(filters);
}

Query usage_query(ApiVersion version) {
  Query query;
  if (version >= kTypedUsage) query.emplace_back("type", "build-cache");
  if (version >= kUsageItems) query.emplace_back("verbose", "1");
  return query;
}

}  // namespace buildwarden::engine
