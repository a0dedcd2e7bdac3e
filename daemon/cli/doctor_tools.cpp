// The docker client and buildx, as a job with an empty DOCKER_CONFIG finds them.
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "common/format.h"
#include "daemon/cli/buildx_version.h"
#include "daemon/cli/doctor.h"
#include "daemon/cli/unix_socket.h"

namespace buildwarden::cli {
namespace {

constexpr std::string_view kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kBuildx = "docker-buildx";

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
bool runs(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

std::string path_of(const Scene& scene) {
  auto path = scene.env("PATH");
  return path.empty() ? std::string(kUsualPath) : path;
}

Finding of_docker(const Scene& scene) {
  const auto program = program_in_path(scene, "docker");
  if (!program.empty()) return fine(format("{} is there", program));
  return error(format("there is no docker in {}", path_of(scene)), "install the docker client (Debian: docker-cli)");
}

// Where nobody wants it the version does not matter.
std::optional<Finding> of_default_load(const Scene& scene, const std::string& buildx) {
  if (!scene.settings.jobs.default_load || !scene.version) return std::nullopt;
  const auto version = read_buildx_version(scene.version(buildx));
  if (version && *version >= kDefaultLoad) return fine(format("{} knows default-load", buildx));
  return error(
      format(
          "jobs.default_load is set, which {} does not know: it refuses such an instance of a job that asked over HTTP",
          version ? format("buildx {}.{}", version->major, version->minor) : buildx),
      "install buildx 0.14 or newer, or set jobs.default_load: false");
}

Finding no_buildx(const Scene& scene) {
  if (scene.plugin_folders.empty()) return error("no folder to look for buildx in", "install buildx");
  const auto& best = scene.plugin_folders.front();
  const auto own = scene.own_plugins + "/" + kBuildx;
  if (!scene.own_plugins.empty() && exists(own)) {
    return error(format("buildx is only at {}, where a job with its own DOCKER_CONFIG does not look", own),
                 format("install -D -m 755 {} {}/{}", own, best, kBuildx));
  }
  return error("buildx is in none of the folders that every job looks in",
               format("install it (Debian: docker-buildx), or put it at {}/{}", best, kBuildx));
}

Findings of_buildx(const Scene& scene) {
  for (const auto& folder : scene.plugin_folders) {
    const auto program = folder + "/" + kBuildx;
    if (runs(program)) {
      Findings found{fine(format("{} is found without a DOCKER_CONFIG", program))};
      if (auto load = of_default_load(scene, program)) found.push_back(*std::move(load));
      return found;
    }
    if (exists(program)) return {error(format("{} cannot be run", program), format("chmod 755 {}", program))};
  }
  return {no_buildx(scene)};
}

}  // namespace

std::string program_in_path(const Scene& scene, const std::string& name) {
  const auto path = path_of(scene);
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find(':', begin), path.size());
    auto program = path.substr(begin, end - begin) + "/" + name;
    if (runs(program)) return program;
    begin = end + 1;
  }
  return {};
}

Findings check_tools(const Scene& scene) {
  auto findings = of_buildx(scene);
  findings.insert(findings.begin(), of_docker(scene));
  return findings;
}

Findings check_agent(const Scene& scene) {
  const auto& wanted = scene.settings.agent.user;
  if (!scene.agent) {
    return {error(scene.agent.error().message(), format("create the user {}, or set agent.user", wanted))};
  }
  const auto& agent = *scene.agent;
  Findings findings{fine(format("{} is uid {}, gid {}", agent.name, agent.uid, agent.gid))};
  const auto opened = opens_as(agent, scene.socket);
  if (opened) {
    findings.push_back(fine(format("{} may open {}", agent.name, scene.socket)));
  } else if (is_not_ours_to_try(opened.error())) {
    findings.push_back(warning(format("not tried as {}: {}", agent.name, opened.error().message()), "run it as root"));
  } else if (opened.error().code() == Errc::kDenied) {
    findings.push_back(error(format("{} may not open {}: {}", agent.name, scene.socket, opened.error().message()),
                             "set listen.group or agent.group to a group of the agent, then restart the daemon"));
  } else {
    findings.push_back(error(format("{} cannot open {}: {}", agent.name, scene.socket, opened.error().message()),
                             "systemctl start buildwarden"));
  }
  return findings;
}

}  // namespace buildwarden::cli
