// The configuration, the daemon, the disk and the engine.
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/doctor.h"
#include "daemon/cli/show.h"
#include "daemon/cli/undeletable_folders.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

constexpr long kExt4 = 0xef53;     // linux/magic.h
constexpr long kXfs = 0x58465342;  // linux/magic.h

Findings readiness(const json::value& status) {
  Findings findings;
  for (const auto& part : list(status, "not_ready")) {
    const auto name = text(part, "part");
    findings.push_back(error(format("{} is not ready: {}", name, text(part, "reason")),
                             "buildwarden events shows what was tried; journalctl -u buildwarden says the rest"));
    findings.back().follows = name == "engine" || name.starts_with("builder ");
  }
  if (findings.empty()) findings.push_back(fine("everything is ready"));
  return findings;
}

// Whether a ballast could lie there at all: the daemon makes none elsewhere.
bool takes_ballast(const std::string& mount) {
  struct statfs info{};
  if (::statfs(mount.c_str(), &info) != 0) return false;
  return info.f_type == kExt4 || info.f_type == kXfs;
}

Finding of_level(const json::value& filesystem) {
  const auto level = text(filesystem, "level");
  const auto line = format("{} is {}: {} of {} free", text(filesystem, "mount"), level, size(filesystem, "free_bytes"),
                           size(filesystem, "total_bytes"));
  if (level == "ok") return fine(line);
  if (level == "low") return warning(line, "nothing yet: the daemon makes room; buildwarden events shows how");
  if (level == "unknown" || level.empty()) {
    return error(format("{} ({})", line, text(filesystem, "error")), "see that the filesystem answers: df, dmesg");
  }
  return error(line, "buildwarden disk shows what takes the room; buildwarden disk reclaim makes some");
}

Findings of_filesystems(const Scene& scene, const json::value& answer) {
  Findings findings;
  const auto& ballast = scene.settings.disk.ballast;
  const bool wanted = !scene.settings.dry_run && (ballast.is_share() ? ballast.of_one() > 0 : ballast.absolute() > 0);
  for (const auto& filesystem : list(answer, "filesystems")) {
    findings.push_back(of_level(filesystem));
    const auto mount = text(filesystem, "mount");
    if (wanted && number(filesystem, "ballast_bytes").value_or(0) == 0 && takes_ballast(mount)) {
      findings.push_back(warning(format("{} has no ballast, which would be given back when it is full", mount),
                                 "it is made once free space is above the target and the ballast: make room"));
    }
  }
  if (findings.empty()) findings.push_back(error("no filesystem is watched", "set disk.watch to paths that exist"));
  return findings;
}

Findings of_paths(const Scene& scene) {
  Findings findings;
  for (const auto& watched : scene.settings.disk.watch) {
    struct stat info{};
    if (::stat(watched.path.c_str(), &info) == 0) continue;
    findings.push_back(warning(format("{}, which disk.watch names, is not there", watched.path),
                               "mount it, or take it out of disk.watch"));
  }
  return findings;
}

constexpr const char* kAllowDeletion = "do as it says: until then nothing there goes, however short the disk is";

Findings of_refused(const json::value& disk) {
  Findings findings;
  for (const auto& root : list(disk, "refused_roots")) {
    const auto line =
        format("nothing is deleted in {} ({}): {}", text(root, "path"), text(root, "setting"), text(root, "reason"));
    findings.push_back(warning(line, kAllowDeletion));
  }
  return findings;
}

// Without the daemon.
Findings of_refusals(const Settings& settings) {
  Findings findings;
  for (const auto& line : undeletable_folders(settings)) findings.push_back(warning(line, kAllowDeletion));
  return findings;
}

Finding of_remap(const Scene& scene, const json::value& info) {
  const auto& options = list(info, "SecurityOptions");
  const bool remaps = std::any_of(options.begin(), options.end(), [](const json::value& option) {
    return option.is_string() && std::string_view(option.get_string()).starts_with("name=userns");
  });
  if (remaps) {
    return fine(
        "it remaps users: in its own builder secret mounts and COPY --chown may meet ids that are not mapped; the warm "
        "builders are in the host's user namespace, where they work");
  }
  if (!scene.settings.engine.userns_remap) return fine("it does not remap users");
  return warning("DOCKER_USERNS_REMAP asks for remapped users, but the engine does not remap them",
                 "set \"userns-remap\" in daemon.json and restart the engine, or unset the parameter");
}

}  // namespace

namespace {

// Which file it is, and how much of it counts. What is not there is not called valid.
Finding of_file(const Scene& scene, const config::Loaded& loaded) {
  const auto& file = scene.config.yaml_path;
  const auto reader = scene.daemon_file == file ? "the daemon reads " : "";
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) {
    return fine(format("{}{}, which is not there: {} values are defaults or of other files", reader, file,
                       loaded.values.size()));
  }
  const auto of_yaml = std::count_if(loaded.values.begin(), loaded.values.end(),
                                     [](const config::EffectiveValue& value) { return value.source == "yaml"; });
  return fine(format("{}{}, which is valid: {} of {} values are its own", reader, file, of_yaml, loaded.values.size()));
}

}  // namespace

Findings check_configuration(const Scene& scene) {
  const auto& file = scene.config.yaml_path;
  const auto loaded = config::load(scene.config);
  if (!loaded) {
    const auto& all = loaded.error().message();
    const auto mistakes = 1 + std::count(all.begin(), all.end(), '\n');
    return {error(format("{} has {}, the first: {}", file, counted(static_cast<std::size_t>(mistakes), "mistake"),
                         all.substr(0, all.find('\n'))),
                  "buildwarden config check shows them all; until then the defaults are looked at here")};
  }
  Findings findings;
  for (const auto& said : loaded->warnings) findings.push_back(warning(said, "correct the variable where it is set"));
  findings.push_back(of_file(scene, *loaded));
  if (!scene.daemon_file.empty() && scene.daemon_file != file) {
    findings.push_back(warning(
        format("the daemon on {} reads {}, and not {}, which is looked at here", scene.socket, scene.daemon_file, file),
        "buildwarden doctor without --config; or --socket of the daemon that reads it"));
  }
  return findings;
}

Findings check_daemon(const Scene& scene) {
  const auto status = scene.daemon("/v1/status");
  if (!status && status.error().code() == Errc::kDenied) {
    return {error(status.error().message(), "run the doctor as root or as the agent's user")};
  }
  if (!status) {
    return {error(format("it does not answer on {}: {}", scene.socket, status.error().message()),
                  "systemctl start buildwarden; journalctl -u buildwarden says why it is not there")};
  }
  if (!status->good()) return {error(problem_text(*status), "journalctl -u buildwarden says more")};
  Findings findings;
  const auto version = text(status->json, "version");
  const auto same = version == BUILDWARDEN_VERSION;
  findings.push_back(same ? fine(format("version {} answers on {}", version, scene.socket))
                          : warning(format("version {} runs, version {} is installed", version, BUILDWARDEN_VERSION),
                                    "systemctl restart buildwarden; builds go on meanwhile"));
  if (truth(status->json, "dry_run")) {
    findings.push_back(warning("it only says what it would do (dry_run)", "set dry_run: false"));
  }
  const auto& waiting = list(member(status->json, "config"), "restart_needed");
  if (!waiting.empty()) {
    findings.push_back(warning(format("a changed value waits for a restart: {}", joined(waiting)),
                               "systemctl restart buildwarden; builds go on meanwhile"));
  }
  for (auto& finding : readiness(status->json)) findings.push_back(std::move(finding));
  return findings;
}

Findings check_space(const Scene& scene) {
  auto findings = of_paths(scene);
  const auto disk = scene.daemon("/v1/disk");
  if (!disk || !disk->good()) {
    for (auto& finding : of_refusals(scene.settings)) findings.push_back(std::move(finding));
    findings.push_back(warning("what is free is not known without the daemon", "buildwarden disk check measures it"));
    return findings;
  }
  for (auto& finding : of_filesystems(scene, disk->json)) findings.push_back(std::move(finding));
  for (auto& finding : of_refused(disk->json)) findings.push_back(std::move(finding));
  for (auto& finding : of_image_store(disk->json)) findings.push_back(std::move(finding));
  return findings;
}

Findings check_engine(const Scene& scene) {
  const auto& socket = scene.settings.engine.socket;
  const auto info = scene.engine("/info");
  if (!info && info.error().code() == Errc::kDenied) {
    return {warning(format("not looked at: {}", info.error().message()), "run the doctor as root")};
  }
  if (!info) {
    return {error(format("it does not answer on {}: {}", socket, info.error().message()),
                  "systemctl start docker; or set engine.socket to where it listens")};
  }
  if (!info->good()) {
    return {error(format("it answers {}: {}", info->status, text(info->json, "message")), "journalctl -u docker")};
  }
  Findings findings{fine(
      format("version {} answers, data in {}", text(info->json, "ServerVersion"), text(info->json, "DockerRootDir")))};
  findings.push_back(of_remap(scene, info->json));
  for (auto& finding : of_address_pools(scene, info->json)) findings.push_back(std::move(finding));
  for (auto& finding : of_unnamed_volumes(scene)) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace buildwarden::cli
