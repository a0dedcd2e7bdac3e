#include "daemon/api/job_script.h"

#include <algorithm>
#include <map>

#include "common/format.h"
#include "common/shell_quote.h"
#include "common/units.h"

namespace buildwarden::api {
namespace {

constexpr std::size_t kShownUsers = 5;

// The folder is kept in a variable with our prefix and unset at the end: the caller's shell stays as it was.
constexpr std::string_view kFindFolder =
    "buildwarden_dir=${BUILDX_CONFIG:-${DOCKER_CONFIG:+$DOCKER_CONFIG/buildx}}\n"
    "if [ -z \"$buildwarden_dir\" ]; then\n"
    "  buildwarden_dir=none\n"
    "  printf '%s\\n' 'buildwarden: neither BUILDX_CONFIG nor DOCKER_CONFIG is set, so no builder is handed out' >&2\n"
    "elif (\n"
    "  umask 077\n";

bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), fits);
}

// Relative, and nothing in it leads out of the folder.
bool is_below(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string say(std::string_view text) { return format("printf '%s\\n' {} >&2\n", shell_quote(text)); }

// Whole or absent, and never beside the instances: buildx takes every file there for one.
constexpr std::string_view kUnfinished = "\"$buildwarden_dir/.buildwarden.$$\"";

// Commands joined by && : `set -e` does not reach into a condition.
std::string write_file(const ports::GrantedFile& file) {
  const auto slash = file.path.rfind('/');
  const auto folder = slash == std::string::npos ? std::string() : "/" + file.path.substr(0, slash);
  const auto path = "\"$buildwarden_dir\"" + shell_quote("/" + file.path);
  return format(
      "  mkdir -p -- \"$buildwarden_dir\"{} &&\n  printf '%s' {} >| {} &&\n  chmod {:04o} {} &&\n"
      "  mv -f -- {} {} &&\n",
      folder.empty() ? "" : shell_quote(folder), shell_quote(file.content), kUnfinished, file.mode & 0777U, kUnfinished,
      kUnfinished, path);
}

std::string exports(const std::map<std::string, std::string>& env, std::string_view indent) {
  std::string lines;
  for (const auto& [name, value] : env) {
    if (is_name(name)) {
      lines += format("{}export {}={}\n", indent, name, shell_quote(value));
    } else {
      lines += std::string(indent) + say(format("buildwarden: no variable can be called \"{}\"", name));
    }
  }
  return lines;
}

std::string handed_out(const ports::Grant& grant) {
  std::string script(kFindFolder);
  for (const auto& file : grant.files) script += write_file(file);
  script += format("  :\n); then\n  buildwarden_dir=\nelse\n  rm -f -- {}\n  buildwarden_dir=none\n  ", kUnfinished);
  script += say("buildwarden: the builders' files could not be written, so no builder is handed out");
  script += "fi\n";
  auto others = grant.env;
  const auto chosen = others.extract("BUILDX_BUILDER");
  if (!chosen.empty()) {
    script += "if [ -z \"$buildwarden_dir\" ]; then\n";
    script += format("  export BUILDX_BUILDER={}\n", shell_quote(chosen.mapped()));
    script += "fi\n";
  }
  return script + exports(others, "") + "unset buildwarden_dir\n";
}

std::string refused(const ports::JobAnswer& answer) {
  auto script = say(format("buildwarden: {}", answer.reason));
  std::size_t shown = 0;
  for (const auto& user : answer.users) {
    if (++shown > kShownUsers) break;
    const auto who = user.name.empty() ? user.kind : format("{} {}", user.kind, user.name);
    script += say(format("  {}: {}", who, format_bytes(user.bytes)));
  }
  return script + "(exit 1)\n";  // as `return 1`, which no shell takes outside of a function
}

}  // namespace

std::string problem_script(std::string_view detail, int status) {
  return say(format("buildwarden: {}", detail)) + (status == 0 ? "" : format("(exit {})\n", status));
}

std::string job_script(const ports::JobAnswer& answer) {
  if (!answer.admitted) return refused(answer);
  const auto outside = [](const ports::GrantedFile& file) { return !is_below(file.path); };
  const auto& files = answer.grant.files;
  const auto& note = answer.grant.note;
  const auto told = note.empty() ? std::string() : say(format("buildwarden: {}", note));
  if (std::any_of(files.begin(), files.end(), outside)) {
    return problem_script("a file of the hand-out would not be below the buildx folder, so none is written", 0);
  }
  return told + (files.empty() ? exports(answer.grant.env, "") : handed_out(answer.grant));
}

}  // namespace buildwarden::api
