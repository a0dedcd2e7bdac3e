// The docker client and buildx, as a job with an empty DOCKER_CONFIG finds them.
#include <unistd.h>

#include <string>

#include "common/format.h"
#include "daemon/cli/doctor.h"
#include "daemon/cli/unix_socket.h"

namespace buildwarden::cli {
namespace {

constexpr std::string_view kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kBuildx = "docker-buildx";

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
bool runs(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

Finding of_docker(const Scene& scene) {
  auto path = scene.env("PATH");
  if (path.empty()) path = kUsualPath;
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find(':', begin), path.size());
    const auto program = path.substr(begin, end - begin) + "/docker";
    if (runs(program)) return fine(format("{} is there", program));
    begin = end + 1;
  }
  return error(format("there is no docker in {}", path), "install the docker client (Debian: docker-cli)");
}

Finding of_buildx(const Scene& scene) {
  for (const auto& folder : scene.plugin_folders) {
    const auto program = folder + "/" + kBuildx;
    if (runs(program)) return fine(format("{} is found without a DOCKER_CONFIG", program));
    if (exists(program)) return error(format("{} cannot be run", program), format("chmod 755 {}", program));
  }
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

}  // namespace

Findings check_tools(const Scene& scene) { return {of_docker(scene), of_buildx(scene)}; }

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
