#include "daemon/identity.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "common/format.h"

namespace buildwarden {
namespace {

constexpr std::size_t kAccountBuffer = 16'384;  // of one entry of the account databases

std::optional<gid_t> as_number(const std::string& text) {
  gid_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<gid_t> group_named(const std::string& name) {
  if (const auto number = as_number(name)) return *number;
  std::vector<char> buffer(kAccountBuffer);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->gr_gid;
  }
  return Error(Errc::kNotFound, format("this machine has no group \"{}\"", name));
}

// A number without a user of its own stands for the group of the same number, as useradd would make it.
Result<gid_t> primary_group_of(const std::string& user) {
  std::vector<char> buffer(kAccountBuffer);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_gid;
  }
  const auto number = as_number(user);
  if (!number) return Error(Errc::kNotFound, format("this machine has no user \"{}\"", user));
  if (::getpwuid_r(*number, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_gid;
  }
  return *number;
}

}  // namespace

Result<uid_t> agent_user(const AgentSettings& agent) {
  std::vector<char> buffer(kAccountBuffer);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(agent.user.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_uid;
  }
  if (const auto number = as_number(agent.user)) return *number;
  return Error(Errc::kNotFound, format("agent.user: this machine has no user \"{}\"", agent.user));
}

Result<gid_t> agent_group(const AgentSettings& agent) {
  if (agent.group == "auto") return primary_group_of(agent.user).with_context("agent.user");
  return group_named(agent.group).with_context("agent.group");
}

Result<gid_t> socket_group(const ListenSettings& listen, const AgentSettings& agent) {
  if (listen.group == "auto") return agent_group(agent);
  return group_named(listen.group).with_context("listen.group");
}

std::string unknown_account(const Settings& settings) {
  const auto& agent = settings.agent;
  const auto user = agent.user == AgentSettings{}.user ? Result<uid_t>(0) : agent_user(agent);
  const auto group = agent.group == "auto" ? Result<gid_t>(0) : agent_group(agent);
  const auto socket = settings.listen.group == "auto" ? Result<gid_t>(0) : socket_group(settings.listen, agent);
  std::string text;
  if (!user) text = user.error().message();
  if (!group) text = group.error().message();
  if (!socket) text = socket.error().message();
  return text.empty() ? "" : format("{}; only root may use the socket until the daemon is started again", text);
}

bool is_unit_installed(const std::string& unit) {
  constexpr std::array<std::string_view, 4> kUnitFolders = {"/etc/systemd/system/", "/run/systemd/system/",
                                                            "/usr/lib/systemd/system/", "/lib/systemd/system/"};
  if (unit.empty()) return false;
  for (const auto folder : kUnitFolders) {
    if (::access(format("{}{}", folder, unit).c_str(), F_OK) == 0) return true;
  }
  return false;
}

}  // namespace buildwarden
