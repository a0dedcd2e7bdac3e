// Each builder of the configuration: its image, its containers, its socket as the agent sees it, and the daemon's word.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/doctor.h"
#include "daemon/cli/unix_socket.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

bool has_archives(const std::string& folder) {
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().extension() == ".tar") return true;
  }
  return false;
}

// What the engine says of a thing; null when it has none such, nothing when it says nothing.
std::optional<json::value> described(const Scene& scene, const std::string& target) {
  const auto answer = scene.engine(target);
  if (!answer || (!answer->good() && answer->status != 404)) return std::nullopt;
  return answer->good() ? answer->json : json::value(nullptr);
}

std::optional<Finding> of_image(const Scene& scene, const BuilderSettings& builder) {
  const auto image = described(scene, "/images/" + builder.image + "/json");
  if (!image) return std::nullopt;
  if (!image->is_null()) return fine(format("{}: its image {} is here", builder.name, builder.image));
  if (has_archives(scene.settings.paths.images)) {
    return warning(format("{}: its image {} is not here; archives in {} are tried, then a pull", builder.name,
                          builder.image, scene.settings.paths.images),
                   "wait; buildwarden events says when it came");
  }
  return warning(format("{}: its image {} is not here and has to be pulled", builder.name, builder.image),
                 format("docker pull {}; or docker save it into {}", builder.image, scene.settings.paths.images));
}

Finding of_state(const json::value& answer, const std::string& name) {
  for (const auto& builder : list(answer, "builders")) {
    if (text(builder, "name") != name) continue;
    const auto state = text(builder, "state");
    const auto line = format("{} is {}: {}", name, state, text(builder, "reason"));
    const bool silent = text(builder, "reason").find("has not answered") != std::string::npos;
    if (state == "warm" && silent) {
      return warning(line, "wait: it is restarted when it hangs, and handed to no job until it answers");
    }
    if (state == "warm") return fine(line);
    if (state == "starting" || state == "healing") return warning(line, "wait; buildwarden events --follow");
    if (state == "off") return warning(line, "set dry_run: false");
    return error(line, format("buildwarden events says what was tried; buildwarden builders recreate {}", name));
  }
  return error(format("{} is in the configuration, but the daemon does not have it", name),
               "systemctl reload buildwarden; buildwarden config check");
}

Findings of_real_container(const Scene& scene, const BuilderSettings& builder, bool remaps) {
  const auto container = "buildwarden_" + builder.name;
  const auto shown = described(scene, "/containers/" + container + "/json");
  if (!shown) return {};
  if (!truth(member(*shown, "State"), "Running")) {
    return {error(
        format("{}: its container {} {}", builder.name, container, shown->is_null() ? "is missing" : "does not run"),
        "the daemon starts it: systemctl start buildwarden, without dry_run")};
  }
  if (!remaps || text(member(*shown, "HostConfig"), "UsernsMode") == "host") return {};
  return {
      error(format("{}: the engine remaps users, but {} is not in the host's user namespace", builder.name, container),
            format("buildwarden builders recreate {}", builder.name))};
}

Findings of_front(const Scene& scene, const BuilderSettings& builder) {
  Findings findings;
  auto names = builder.aliases;
  names.insert(names.begin(), builder.name);
  for (const auto& name : names) {
    const auto front = "buildx_buildkit_" + name + "0";
    const auto shown = described(scene, "/containers/" + front + "/json");
    if (!shown) continue;
    if (truth(member(*shown, "State"), "Running")) {
      findings.push_back(fine(format("{}: the recipe's `create --name {}` finds {}", builder.name, name, front)));
    } else {
      findings.push_back(warning(
          format("{}: {} does not run, so the recipe would make a cold builder of its own", builder.name, front),
          "the daemon makes it; buildwarden events says why it does not"));
    }
  }
  return findings;
}

Finding of_socket(const Scene& scene, const BuilderSettings& builder) {
  const auto path = format("{}/builders/{}/buildkitd.sock", scene.settings.paths.run, builder.name);
  if (!scene.agent) {
    return error(format("{}: nobody to try its socket as", builder.name), "see what is said of the agent");
  }
  const auto spoke = speaks_http2_as(*scene.agent, path);
  const auto& user = scene.agent->name;
  if (spoke) return fine(format("{}: {} gets through to {}", builder.name, user, path));
  const auto& why = spoke.error();
  if (is_not_ours_to_try(why)) {
    return warning(format("{}: its socket was not tried as {}: {}", builder.name, user, why.message()),
                   "run the doctor as root");
  }
  const auto line = format("{}: {} does not get through: {}", builder.name, user, why.message());
  if (why.code() == Errc::kDenied) {
    return error(line,
                 format("set agent.group to a group of {}, then buildwarden builders recreate {}", user, builder.name));
  }
  return error(line, format("buildwarden builders says its state; buildwarden builders recreate {}", builder.name));
}

constexpr std::string_view kHiddenLogin = "xxxxx:xxxxx@";

bool names_proxy(const BuilderSettings& builder) {
  return std::any_of(builder.env.begin(), builder.env.end(),
                     [](const auto& one) { return one.first.ends_with("_PROXY") || one.first.ends_with("_proxy"); });
}

// The engine's proxies that the builder does not have: their login is hidden, or its container is older than they are.
std::optional<Finding> of_proxies(const Scene& scene, const BuilderSettings& builder, const json::value& info) {
  if (names_proxy(builder)) return std::nullopt;
  const auto http = text(info, "HttpProxy");
  const auto https = text(info, "HttpsProxy");
  if (http.empty() && https.empty()) return std::nullopt;
  if ((http + https).find(kHiddenLogin) != std::string::npos) {
    return warning(
        format("{}: the engine's proxy has a login, which the engine does not tell, so the builder goes without it",
               builder.name),
        "set builders[].env with HTTP_PROXY, HTTPS_PROXY and NO_PROXY");
  }
  const auto shown = described(scene, "/containers/buildwarden_" + builder.name + "/json");
  if (!shown || shown->is_null()) return std::nullopt;
  const auto& env = list(member(*shown, "Config"), "Env");
  const auto wanted = https.empty() ? "HTTP_PROXY=" + http : "HTTPS_PROXY=" + https;
  const bool has = std::any_of(env.begin(), env.end(), [&](const json::value& one) {
    return one.is_string() && std::string_view(one.get_string()) == wanted;
  });
  if (has) return fine(format("{}: it goes through the engine's proxy", builder.name));
  return warning(format("{}: it does not go through the engine's proxy yet", builder.name),
                 format("wait until no build runs; or buildwarden builders recreate {}", builder.name));
}

std::optional<Finding> of_runtime(const BuilderSettings& builder, const json::value& info) {
  const auto* known = member(info, "Runtimes").if_object();
  const auto usual = text(info, "DefaultRuntime");
  if (!builder.runtime.empty() && known != nullptr && !known->contains(builder.runtime)) {
    return error(format("{}: the engine has no runtime {}", builder.name, builder.runtime),
                 "correct builders[].runtime; docker info shows the runtimes");
  }
  if (!builder.runtime.empty() || usual.empty() || usual == "runc") return std::nullopt;
  return warning(format("{}: its containers run in {}, the engine's default runtime, which may refuse privileged ones",
                        builder.name, usual),
                 "set builders[].runtime: runc");
}

Findings of_surroundings(const Scene& scene, const BuilderSettings& builder, const json::value& info) {
  Findings findings;
  if (auto proxies = of_proxies(scene, builder, info)) findings.push_back(*std::move(proxies));
  if (auto runtime = of_runtime(builder, info)) findings.push_back(*std::move(runtime));
  return findings;
}

}  // namespace

Findings check_builders(const Scene& scene) {
  Findings findings;
  const json::value info = described(scene, "/info").value_or(nullptr);
  bool remaps = scene.settings.engine.userns_remap;
  for (const auto& option : list(info, "SecurityOptions")) {
    if (option.is_string() && std::string_view(option.get_string()).starts_with("name=userns")) remaps = true;
  }
  const auto told = scene.daemon("/v1/builders");
  for (const auto& builder : scene.settings.builders) {
    if (auto image = of_image(scene, builder)) findings.push_back(*std::move(image));
    if (told && told->good()) findings.push_back(of_state(told->json, builder.name));
    for (auto& finding : of_real_container(scene, builder, remaps)) findings.push_back(std::move(finding));
    for (auto& finding : of_surroundings(scene, builder, info)) findings.push_back(std::move(finding));
    for (auto& finding : of_front(scene, builder)) findings.push_back(std::move(finding));
    findings.push_back(of_socket(scene, builder));
  }
  return findings;
}

}  // namespace buildwarden::cli
