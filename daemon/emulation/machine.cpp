// The real machine.
#include <utility>

#include "common/format.h"
#include "common/own_unit.h"
#include "common/subprocess.h"
#include "daemon/emulation/binfmt.h"
#include "daemon/emulation/emulation.h"
#include "daemon/emulation/host_qemu.h"
#include "daemon/emulation/launcher.h"

namespace buildwarden::emulation {
namespace {

constexpr Duration kProgramsPatience = std::chrono::seconds{8};

std::vector<std::string> command_for(const std::vector<std::string>& names) {
  std::vector<std::string> command = {own_program(), std::string(kLauncherCommand)};
  command.insert(command.end(), names.begin(), names.end());
  return in_own_unit(std::move(command));
}

std::map<std::string, policy::Proof> all_unknown(const std::vector<std::string>& names, const std::string& why) {
  std::map<std::string, policy::Proof> proofs;
  for (const auto& name : names) proofs[name] = {policy::ProofResult::kUnknown, why};
  return proofs;
}

std::map<std::string, policy::Proof> execute_programs(const std::vector<std::string>& names,
                                                      const std::stop_token& stop) {
  const auto end = run_program(command_for(names), kProgramsPatience, stop);
  if (!end) return all_unknown(names, end.error().message());
  if (end->exit_code != 0) return all_unknown(names, format("the launcher failed: {}{}", end->output, end->errors));
  return read_proofs(end->output, names);
}

}  // namespace

Machine this_machine() {
  return {read_entries, register_entry, unregister_entry, mount_table, desired_platforms, execute_programs};
}

}  // namespace buildwarden::emulation
