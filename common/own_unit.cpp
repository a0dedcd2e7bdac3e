#include "common/own_unit.h"

#include <unistd.h>

#include <array>
#include <string_view>
#include <utility>

namespace buildwarden {

bool is_service() { return ::getppid() == 1 && ::access("/run/systemd/system", F_OK) == 0; }

std::string own_program() {
  std::array<char, 4096> path{};
  const auto size = ::readlink("/proc/self/exe", path.data(), path.size());
  std::string program(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  constexpr std::string_view kGone = " (deleted)";
  if (program.ends_with(kGone)) program.resize(program.size() - kGone.size());
  return program;
}

std::vector<std::string> in_own_unit(std::vector<std::string> command, const std::vector<std::string>& properties) {
  if (!is_service()) return command;
  std::vector<std::string> whole = {"systemd-run", "--wait", "--pipe", "--quiet", "--collect"};
  for (const auto& property : properties) whole.push_back("--property=" + property);
  whole.emplace_back("--");
  for (auto& word : command) whole.push_back(std::move(word));
  return whole;
}

}  // namespace buildwarden
