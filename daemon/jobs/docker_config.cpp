#include "daemon/jobs/docker_config.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <string_view>
#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::jobs {
namespace {

constexpr std::string_view kVariable = "DOCKER_CONFIG=";
constexpr Bytes kMostJobEnvironment = 2 * kMiB;
constexpr std::array<std::string_view, 2> kTemporary = {"/tmp/", "/var/tmp/"};
// mktemp(1) without a template.
constexpr std::string_view kPrefix = "tmp.";
constexpr std::size_t kRandom = 10;

// "A=1\0B=2\0" → what stands behind DOCKER_CONFIG=.
std::string_view value_in(std::string_view environment) {
  while (!environment.empty()) {
    const auto end = environment.find('\0');
    const auto entry = environment.substr(0, end);
    if (entry.starts_with(kVariable)) return entry.substr(kVariable.size());
    if (end == std::string_view::npos) break;
    environment.remove_prefix(end + 1);
  }
  return {};
}

bool is_throw_away(std::string_view path) {
  for (const auto folder : kTemporary) {
    if (!path.starts_with(folder)) continue;
    auto name = path.substr(folder.size());
    if (!name.starts_with(kPrefix) || name.size() != kPrefix.size() + kRandom) return false;
    name.remove_prefix(kPrefix.size());
    return std::all_of(name.begin(), name.end(), [](unsigned char letter) { return std::isalnum(letter) != 0; });
  }
  return false;
}

constexpr Duration kLookPatience = std::chrono::seconds{1};

}  // namespace

std::optional<ports::JobFolder> docker_config_of(const ports::Peer& peer) {
  if (!peer.local || peer.pid <= 0) return std::nullopt;
  const auto environment = read_file(format("/proc/{}/environ", peer.pid), kMostJobEnvironment);
  if (!environment) return std::nullopt;
  const std::string path(value_in(*environment));
  struct stat info{};
  if (!is_throw_away(path) || ::lstat(path.c_str(), &info) != 0) return std::nullopt;
  const bool is_its_own = S_ISDIR(info.st_mode) && info.st_uid == peer.uid && (info.st_mode & 0077U) == 0;
  if (!is_its_own) return std::nullopt;
  return ports::JobFolder{.path = path, .device = info.st_dev, .inode = info.st_ino, .uid = peer.uid, .ended = {}};
}

boost::asio::awaitable<std::optional<ports::JobFolder>> look_for_docker_config(WorkerPool& processes,
                                                                               ports::Peer peer) {
  using Found = std::optional<ports::JobFolder>;
  std::function<Result<Found>()> work = [peer = std::move(peer)] { return Result<Found>(docker_config_of(peer)); };
  auto found = co_await processes.compute<Found>(std::move(work), kLookPatience);
  co_return found ? *std::move(found) : Found();
}

}  // namespace buildwarden::jobs
