// The real machine.
#include <unistd.h>

#include <array>

#include "common/format.h"
#include "common/subprocess.h"
#include "daemon/emulation/binfmt.h"
#include "daemon/emulation/emulation.h"
#include "daemon/emulation/host_qemu.h"
#include "daemon/emulation/launcher.h"

namespace buildwarden::emulation {
namespace {

constexpr Duration kPatience = std::chrono::seconds{8};

// An update may have taken the file away and put the new one in its place.
std::string own_program() {
  std::array<char, 4096> path{};
  const auto size = ::readlink("/proc/self/exe", path.data(), path.size());
  std::string program(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  constexpr std::string_view kGone = " (deleted)";
  if (program.ends_with(kGone)) program.resize(program.size() - kGone.size());
  return program;
}

std::vector<std::string> command_for(const std::vector<std::string>& names) {
  std::vector<std::string> command;
  if (is_service()) command = {"systemd-run", "--wait", "--pipe", "--quiet", "--collect", "--"};
  command.push_back(own_program());
  command.emplace_back(kLauncherCommand);
  command.insert(command.end(), names.begin(), names.end());
  return command;
}

std::map<std::string, policy::Proof> all_unknown(const std::vector<std::string>& names, const std::string& why) {
  std::map<std::string, policy::Proof> proofs;
  for (const auto& name : names) proofs[name] = {policy::ProofResult::kUnknown, why};
  return proofs;
}

std::map<std::string, policy::Proof> execute_programs(const std::vector<std::string>& names,
                                                      const std::stop_token& stop) {
  const auto end = run_program(command_for(names), kPatience, stop);
  if (!end) return all_unknown(names, end.error().message());
  if (end->exit_code != 0) return all_unknown(names, format("the launcher failed: {}{}", end->output, end->errors));
  return read_proofs(end->output, names);
}

}  // namespace

Machine this_machine() {
  return {read_entries, register_entry, unregister_entry, mount_table, desired_platforms, execute_programs};
}

}  // namespace buildwarden::emulation
