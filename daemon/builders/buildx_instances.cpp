#include "daemon/builders/buildx_instances.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/unique_fd.h"
#include "daemon/builders/json_text.h"

namespace buildwarden::builders {
namespace json = boost::json;

namespace {

constexpr Duration kInstancesDeadline = std::chrono::seconds{10};
constexpr std::size_t kMostOfAFile = 65'536;
constexpr const char* kDriver = "docker-container";
constexpr const char* kPrefix = "buildx_buildkit_";  // of the containers that it makes

using Owners = std::map<std::string, std::string>;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// "" of what is no plain file, or is larger than any instance.
std::string content_of(int folder, const char* name) {
  const auto file = open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct ::stat facts{};
  if (!file.open() || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return "";
  std::string text(kMostOfAFile, '\0');
  const auto length = ::read(file.get(), text.data(), text.size());
  text.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return text.size() == kMostOfAFile ? "" : text;
}

Error unreadable(const std::string& path, int error) {
  return {Errc::kIo, format("{}: {}", path, std::strerror(error))};  // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

// A person without a home or without buildx has none; anything else that hinders may hide some.
Result<void> add_instances(const std::string& home, Owners& owners) {
  const auto path = home + "/.docker/buildx/instances";
  const UniqueFd top(::open(home.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto folder =
      top.open() ? open_beneath(top.get(), ".docker/buildx/instances", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : UniqueFd{};
  if (!folder.open()) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return unreadable(path, errno);
  }
  const int descriptor = folder.get();
  const std::unique_ptr<DIR, CloseFolder> entries(::fdopendir(descriptor));
  if (!entries) return unreadable(path, errno);
  folder.release();
  while (const auto* entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    const std::string name = entry->d_name;
    for (auto& container : containers_of_instance(content_of(descriptor, entry->d_name))) {
      owners.emplace(std::move(container), format("instance {} of {}", name, home));
    }
  }
  return {};
}

Result<Owners> owners_in(const std::vector<std::string>& homes) {
  Owners owners;
  for (const auto& home : homes) {
    if (auto added = add_instances(home, owners); !added) return std::move(added).error();
  }
  return owners;
}

}  // namespace

std::vector<std::string> containers_of_instance(std::string_view text) {
  std::vector<std::string> containers;
  boost::system::error_code broken;
  const auto root = json::parse({text.data(), text.size()}, broken);
  const auto* instance = broken ? nullptr : root.if_object();
  if (instance == nullptr || text_of(*instance, "Driver") != kDriver) return containers;
  const auto* nodes = instance->if_contains("Nodes");
  if (nodes == nullptr || !nodes->is_array()) return containers;
  for (const auto& node : nodes->get_array()) {
    const auto name = node.is_object() ? text_of(node.get_object(), "Name") : std::string();
    if (!name.empty()) containers.push_back(kPrefix + name);
  }
  return containers;
}

std::vector<std::string> homes_of_people(const std::string& passwd_file, const std::string& agent_user) {
  std::set<std::string> homes;
  std::set<std::string> jobs_homes;
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(passwd_file.c_str(), "re"));
  if (!file) return {};
  std::array<char, 4096> room{};
  ::passwd user{};
  ::passwd* found = nullptr;
  while (::fgetpwent_r(file.get(), &user, room.data(), room.size(), &found) == 0) {
    const bool is_agent = user.pw_name == agent_user || std::to_string(user.pw_uid) == agent_user;
    (is_agent ? jobs_homes : homes).insert(user.pw_dir);
  }
  for (const auto& home : jobs_homes) homes.erase(home);
  return {homes.begin(), homes.end()};
}

ports::Async<std::map<std::string, std::string>> BuildxInstances::owners() {
  std::function<Result<Owners>()> work = [homes = homes_] { return owners_in(homes()); };
  co_return co_await workers_.compute<Owners>(std::move(work), kInstancesDeadline);
}

}  // namespace buildwarden::builders
