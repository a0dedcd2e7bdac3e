// Foreign platforms: binfmt_misc, the handlers in it, and what the daemon proved of them.
#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include "common/atomic_file.h"
#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/doctor.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

constexpr std::int64_t kEnoughMemoryKiB = std::int64_t{2} * 1024 * 1024;

struct FixOf {
  std::string_view rule;
  std::string_view fix;
};

// By the rule that decided, for the rules alone tell whose fault it is.
constexpr std::array kFixes = {
    FixOf{"not_mounted", "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc (it takes CAP_SYS_ADMIN)"},
    FixOf{"control", "see why no program of ours runs here: noexec on the run folder, seccomp, the journal"},
    FixOf{"missing", "install qemu-user-static, or set emulation.image to a binfmt image that can be pulled"},
    FixOf{"broken", "another version of QEMU: pin emulation.image; buildwarden emulators shows which one runs now"},
    FixOf{"backing_off", "buildwarden events says what was tried; curl -X POST .../v1/emulators/verify tries at once"},
};

std::string fix_for(const std::string& rule) {
  for (const auto& one : kFixes) {
    if (one.rule == rule) return std::string(one.fix);
  }
  return "buildwarden events says what was tried; /v1/emulators/verify tries again";
}

Finding of_platform(const json::value& emulator) {
  const auto state = text(emulator, "state");
  const auto line = format("{} is {}: {}", text(emulator, "platform"), state, text(emulator, "reason"));
  if (state == "native" || state == "proven" || state == "off") return fine(line);
  if (state == "registered") return warning(line, "wait: it is executed soon; buildwarden emulators");
  return error(line, fix_for(text(emulator, "rule")));
}

std::string read_whole(const std::string& path) { return read_file(path).value_or(""); }

// The kernel's own switch over all handlers.
Finding of_kernel(const std::string& folder) {
  const auto status = read_whole(folder + "/status");
  if (status.starts_with("enabled")) return fine(format("{} is mounted and enabled", folder));
  if (status.starts_with("disabled")) {
    return error(format("{} is disabled, so no handler works", folder), format("echo 1 > {}/status", folder));
  }
  return error(format("{} is not mounted", folder), fix_for("not_mounted"));
}

// Others' handlers that a container cannot use, for platforms that we have no handler for: ours comes first.
Findings of_foreign_entries(const std::string& folder) {
  Findings findings;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    const auto name = at->path().filename().string();
    if (!name.starts_with("qemu-") || std::filesystem::exists(folder + "/buildwarden-" + name.substr(5))) continue;
    const auto entry = read_whole(at->path().string());
    const auto flags = entry.find("\nflags:");
    if (!entry.starts_with("enabled") || flags == std::string::npos) continue;
    if (entry.substr(flags + 7, entry.find('\n', flags + 1) - flags - 7).find('F') != std::string::npos) continue;
    findings.push_back(warning(
        format("the handler {} of another tool has no flag F: it is not found in containers", name),
        format("add the platform to emulation.platforms; or echo -1 > {}/{} and register it with F", folder, name)));
  }
  return findings;
}

// One compiler under QEMU takes what it takes natively several times over.
Findings of_memory(const std::string& meminfo) {
  std::istringstream file(read_whole(meminfo));
  std::string key;
  std::int64_t kib = 0;
  while (file >> key >> kib) {
    if (key == "MemTotal:" && kib < kEnoughMemoryKiB) {
      return {
          warning(format("{} of memory are little for builds of several platforms at once", format_bytes(kib * 1024)),
                  "a bigger instance type, or builders[].max_parallelism: 1")};
    }
    if (key == "MemTotal:") break;
    file.ignore(80, '\n');
  }
  return {};
}

}  // namespace

Findings check_emulation(const Scene& scene) {
  if (!scene.settings.emulation.all_platforms && scene.settings.emulation.platforms.empty()) {
    return {fine("emulation is off: foreign programs are the business of others")};
  }
  const auto& folder = scene.settings.paths.binfmt_misc;
  Findings findings{of_kernel(folder)};
  for (auto& finding : of_foreign_entries(folder)) findings.push_back(std::move(finding));
  for (auto& finding : of_memory(scene.meminfo)) findings.push_back(std::move(finding));
  const auto told = scene.daemon("/v1/emulators");
  if (!told || !told->good()) {
    findings.push_back(warning("whether foreign programs run is not known without the daemon", "see the daemon"));
    return findings;
  }
  for (const auto& emulator : list(told->json, "emulators")) findings.push_back(of_platform(emulator));
  return findings;
}

}  // namespace buildwarden::cli
