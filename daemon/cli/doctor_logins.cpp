// The credential helpers that the engine's docker configuration names, as the daemon will look for them.
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <map>
#include <set>
#include <string>

#include "common/foreign_file.h"
#include "common/format.h"
#include "common/text_list.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/doctor.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

constexpr Bytes kLongestConfig = kMiB;

// By the helper's name, the registries that it is named for.
std::map<std::string, std::set<std::string>> helpers_of(const json::value& config) {
  std::map<std::string, std::set<std::string>> helpers;
  const auto store = text(config, "credsStore");
  if (!store.empty()) helpers[store].insert("every registry that credHelpers does not name");
  const auto* by_registry = member(config, "credHelpers").if_object();
  if (by_registry == nullptr) return helpers;
  for (const auto& [registry, helper] : *by_registry) {
    const auto* name = helper.if_string();
    if (name != nullptr && !name->empty()) helpers[std::string(*name)].insert(std::string(registry));
  }
  return helpers;
}

Finding of_helper(const Scene& scene, const std::string& helper, const std::set<std::string>& registries) {
  const auto program = "docker-credential-" + helper;
  const auto found = program_in_path(scene, program);
  if (!found.empty()) return fine(format("{} is there, for {}", found, join(registries, ", ")));
  const auto fix = helper == "ecr-login" ? "install it (Debian, Amazon Linux: amazon-ecr-credential-helper)"
                                         : "install it, or take it out of config.json";
  return error(
      format("engine.docker_config names {} for {}, and there is none: those images are pulled without a login",
             program, join(registries, ", ")),
      fix);
}

}  // namespace

Findings check_logins(const Scene& scene) {
  const auto& folder = scene.settings.engine.docker_config;
  if (folder.empty()) return {fine("the engine pulls without a login (engine.docker_config is not set)")};
  const auto path = folder + "/config.json";
  auto file = read_foreign_file(path, FileOwner::kRoot, kLongestConfig);
  const bool is_roots = file.ok() || file.error().code() != Errc::kDenied;
  const auto why = is_roots ? std::string() : file.error().message();
  if (!is_roots) file = read_foreign_file(path, FileOwner::kAnybody, kLongestConfig);
  if (!file) {
    return {warning(format("there are no logins for pulls: {}", file.error().message()),
                    format("put a config.json into {}, or leave engine.docker_config empty", folder))};
  }
  boost::system::error_code failed;
  const auto config = json::parse(file->text, failed);
  if (failed || !config.is_object()) return {error(format("{} is not JSON: each pull fails", path), "correct it")};
  Findings findings;
  for (const auto& [helper, registries] : helpers_of(config)) {
    findings.push_back(of_helper(scene, helper, registries));
    if (is_roots) continue;
    findings.push_back(warning(format("docker-credential-{} is not asked: {}", helper, why),
                               format("chown root:root {0}; chmod 0644 {0}", path)));
  }
  if (findings.empty()) findings.push_back(fine(format("{} names no credential helper", path)));
  return findings;
}

}  // namespace buildwarden::cli
