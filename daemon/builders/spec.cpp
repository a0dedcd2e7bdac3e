#include "daemon/builders/spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "common/fnv1a.h"
#include "common/format.h"
#include "daemon/builders/names.h"

namespace buildwarden::builders {
namespace {

constexpr double kMostCpus = 4096;

// It meets no adversary here.
std::string fnv1a_hex(std::string_view text) { return format("{:016x}", fnv1a(text)); }

// Each part with its length in front, so that no two lists give the same text.
void put(std::string& text, std::string_view part) { text += format("{}:{};", part.size(), part); }

template <class List>
void put_all(std::string& text, const List& parts) {
  text += format("{}[", parts.size());
  for (const auto& part : parts) put(text, part);
  text += ']';
}

Result<std::int64_t> nano_cpus(const std::string& text) {
  if (text.empty()) return std::int64_t{0};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || !std::isfinite(value) || value <= 0 || value > kMostCpus) {
    return Error(Errc::kInvalid, format("cpus \"{}\" is not a number above 0", text));
  }
  return static_cast<std::int64_t>(std::llround(value * 1e9));
}

Result<Bytes> memory_limit(const std::string& text) {
  if (text.empty()) return Bytes{0};
  return parse_bytes(text).with_context("memory");
}

ports::Mount bind(std::string source, std::string_view target, bool read_only) {
  return {.is_volume = false, .source = std::move(source), .target = std::string(target), .read_only = read_only};
}

std::vector<std::string> command_of(const BuilderSettings& builder, gid_t group) {
  std::vector<std::string> command = {"--config", std::string(kConfigInside),
                                      "--addr",   format("unix://{}", kSocketInside),
                                      "--group",  std::to_string(group)};
  command.insert(command.end(), builder.buildkitd_flags.begin(), builder.buildkitd_flags.end());
  return command;
}

bool names(const BuilderSettings& builder, std::string_view variable) {
  return std::any_of(builder.env.begin(), builder.env.end(), [&](const auto& one) {
    return std::equal(one.first.begin(), one.first.end(), variable.begin(), variable.end(),
                      [](unsigned char a, unsigned char b) { return std::toupper(a) == b; });
  });
}

// A proxy whose login the engine hides would refuse each request.
bool hides_login(std::string_view proxy) { return proxy.find("xxxxx:xxxxx@") != std::string_view::npos; }

// Go's HTTP client, which BuildKit uses, takes HTTP_PROXY and http_proxy alike: a builder that names either has its
// own.
std::vector<std::string> environment_of(const BuilderSettings& builder, const ports::EngineProxies& proxies) {
  std::vector<std::string> env;
  for (const auto& [name, value] : builder.env) env.push_back(format("{}={}", name, value));
  const std::array engines = {std::pair<std::string_view, const std::string&>("HTTP_PROXY", proxies.http),
                              std::pair<std::string_view, const std::string&>("HTTPS_PROXY", proxies.https),
                              std::pair<std::string_view, const std::string&>("NO_PROXY", proxies.none_for)};
  for (const auto& [name, value] : engines) {
    if (!value.empty() && !hides_login(value) && !names(builder, name)) env.push_back(format("{}={}", name, value));
  }
  return env;
}

ports::ContainerSpec common_spec(const BuilderSettings& builder, const HostFacts& host) {
  ports::ContainerSpec spec;
  spec.image = builder.image;
  spec.labels[std::string(ports::kOwnerLabel)] = ports::kOwner;
  spec.host_userns = host.host_userns;
  spec.runtime = builder.runtime;
  spec.restart_unless_stopped = true;
  return spec;
}

}  // namespace

Result<ports::ContainerSpec> real_spec(const BuilderSettings& builder, const HostFacts& host) {
  auto memory = memory_limit(builder.memory);
  if (!memory) return std::move(memory).error();
  auto cpus = nano_cpus(builder.cpus);
  if (!cpus) return std::move(cpus).error();
  auto spec = common_spec(builder, host);
  spec.name = real_container(builder.name);
  spec.command = command_of(builder, host.agent_group);
  spec.labels[std::string(ports::kVolumeLabel)] = std::to_string(host.volumes.in_use);
  const auto volume = policy::volume_of(builder.name, host.volumes.in_use);
  spec.mounts.push_back({.is_volume = true, .source = volume, .target = std::string(kStateInside)});
  spec.mounts.push_back(bind(socket_folder(host.paths, builder.name), kSocketFolderInside, false));
  spec.mounts.push_back(bind(config_folder(host.paths, builder.name), kConfigFolderInside, true));
  spec.privileged = true;
  spec.init = true;
  spec.memory = *memory;
  spec.nano_cpus = *cpus;
  spec.env = environment_of(builder, host.proxies);
  spec.network = builder.network;
  spec.dns = builder.dns;
  spec.extra_hosts = builder.extra_hosts;
  return spec;
}

ports::ContainerSpec front_spec(const BuilderSettings& builder, const HostFacts& host, const std::string& container) {
  auto spec = common_spec(builder, host);
  spec.name = container;
  spec.entrypoint = {"/bin/sleep", std::to_string(std::numeric_limits<std::int32_t>::max())};
  spec.mounts.push_back(bind(socket_folder(host.paths, builder.name), kSocketFolderInside, false));
  // The image declares a volume there: unless something is mounted, each new front would leave an anonymous one behind.
  spec.mounts.push_back(bind(socket_folder(host.paths, builder.name), kStateInside, true));
  spec.read_only_root = true;
  spec.drop_all_capabilities = true;
  spec.network = "none";
  spec.stop_signal = "SIGKILL";  // a job's `buildx rm` would wait 10 s for a sleep that ignores SIGTERM
  return spec;
}

std::string config_digest(const ports::ContainerSpec& spec, std::string_view files) {
  std::string text = "1;";  // of this layout
  put(text, spec.image);
  put_all(text, spec.entrypoint);
  put_all(text, spec.command);
  for (const auto& mount : spec.mounts) {
    put(text, mount.source);
    put(text, mount.target);
    text += format("{}{};", mount.is_volume ? "volume" : "bind", mount.read_only ? " ro" : "");
  }
  text += format("{:d}{:d}{:d}{:d}{:d}{:d};", spec.privileged, spec.init, spec.read_only_root,
                 spec.drop_all_capabilities, spec.host_userns, spec.restart_unless_stopped);
  put(text, spec.network);
  put(text, spec.stop_signal);
  text += format("{};{};", spec.memory, spec.nano_cpus);
  // Not there at all where nothing is set, so that a builder without them stays as an older version made it.
  if (!spec.runtime.empty()) put(text, "runtime " + spec.runtime);
  for (const auto& [what, values] :
       {std::pair("env", &spec.env), std::pair("dns", &spec.dns), std::pair("hosts", &spec.extra_hosts)}) {
    if (!values->empty()) put(text, what);
    if (!values->empty()) put_all(text, *values);
  }
  put(text, files);
  return fnv1a_hex(text);
}

std::string spec_digest(const std::string& config, const std::optional<std::string>& image_id,
                        const std::string& observed) {
  if (image_id) return config + "-" + fnv1a_hex(*image_id);
  const auto dash = observed.find('-');
  return config + (dash == std::string::npos ? "-" : observed.substr(dash));
}

}  // namespace buildwarden::builders
