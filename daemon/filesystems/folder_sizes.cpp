#include "daemon/filesystems/folder_sizes.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "common/beneath.h"
#include "common/mounts.h"
#include "common/path_parts.h"
#include "common/resolved_folder.h"
#include "common/tick.h"
#include "common/tree_look.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kBetweenSizes = std::chrono::minutes{10};
constexpr Duration kSizesKept = std::chrono::hours{1};
constexpr Duration kSizesDeadline = std::chrono::hours{1};
constexpr std::uint64_t kMostEntriesOfFolder = 5'000'000;
constexpr std::size_t kMostFolders = 20'000;  // in one folder
constexpr std::size_t kMostOthers = 5;        // of the largest other folders, each filesystem
constexpr std::size_t kMostOfKind = 50;       // volumes, logs
constexpr Bytes kLeastOfDisk = 100;           // a hundredth of it, for another folder to be told
constexpr Bytes kLeastTold = kMiB;            // of a volume or a log
constexpr std::size_t kDigitsOfId = 12;
constexpr int kLowestPriority = 19;

std::string joined(const std::string& folder, const std::string& name) {
  return folder == "/" ? "/" + name : folder + "/" + name;
}

// One walk through the short filesystems.
class Walk {
 public:
  Walk(const FolderSizes::Route& route, const std::stop_token& stop)
      : route_(route), left_out_(route.mounts), stop_(stop) {
    for (const auto& path : route.elsewhere) {
      const auto folder = resolve_folder(path);
      left_out_.push_back(folder ? folder->path : path);
    }
  }

  std::vector<FolderSizes::Found> run() {
    for (const auto& filesystem : route_.filesystems) {
      others_.clear();
      if (!route_.data_root.empty()) {
        each_in(route_.data_root + "/volumes", "volume", filesystem);
        each_in(route_.data_root + "/containers", "container_log", filesystem);
      }
      descend(filesystem.mount, filesystem);
      keep_largest(others_, kMostOthers);
      std::move(others_.begin(), others_.end(), std::back_inserter(found_));
    }
    return std::move(found_);
  }

 private:
  using List = std::vector<FolderSizes::Found>;

  static void keep_largest(List& list, std::size_t most) {
    std::sort(list.begin(), list.end(), [](const FolderSizes::Found& one, const FolderSizes::Found& other) {
      return std::tie(other.user.bytes, one.user.name) < std::tie(one.user.bytes, other.user.name);
    });
    if (list.size() > most) list.resize(most);
  }

  static bool lies_on(int folder, const FolderSizes::Filesystem& filesystem) {
    struct stat what{};
    return ::fstat(folder, &what) == 0 && device_label(what.st_dev) == filesystem.device;
  }

  // Its folders, each by itself. A folder of the engine's that is not there has none.
  void each_in(const std::string& path, const std::string& kind, const FolderSizes::Filesystem& filesystem) {
    const auto home = resolve_folder(path);
    if (!home || !lies_on(home->folder.get(), filesystem)) return;
    const auto entries = some_entries_of(home->folder.get(), path, kMostFolders);
    if (!entries) return;
    List list;
    for (const auto& [name, type] : entries->entries) {
      if (stop_.stop_requested()) return;
      if (type != DT_DIR || is_left_out(joined(path, name))) continue;
      const auto look = look_through(home->folder.get(), name, kMostEntriesOfFolder, stop_);
      if (look && look->bytes >= kLeastTold) list.push_back({filesystem.device, {kind, name, look->bytes}});
    }
    keep_largest(list, kMostOfKind);
    std::move(list.begin(), list.end(), std::back_inserter(found_));
  }

  // What lies in `path`: a folder with something in it that is left out is gone into, every other one is looked through
  // as a whole.
  void descend(const std::string& path, const FolderSizes::Filesystem& filesystem) {
    const auto home = resolve_folder(path);
    if (!home || !lies_on(home->folder.get(), filesystem)) return;
    const auto entries = some_entries_of(home->folder.get(), path, kMostFolders);
    if (!entries) return;
    for (const auto& [name, type] : entries->entries) {
      const auto inside = joined(path, name);
      if (stop_.stop_requested()) return;
      if (type != DT_DIR || is_left_out(inside)) continue;
      if (has_left_out(inside)) {
        descend(inside, filesystem);
        continue;
      }
      const auto look = look_through(home->folder.get(), name, kMostEntriesOfFolder, stop_);
      if (look && look->bytes >= std::max(filesystem.total / kLeastOfDisk, kLeastTold)) {
        others_.push_back({filesystem.device, {"folder", inside, look->bytes}});
      }
    }
  }

  [[nodiscard]] bool is_left_out(const std::string& path) const {
    return std::find(left_out_.begin(), left_out_.end(), path) != left_out_.end();
  }
  [[nodiscard]] bool has_left_out(const std::string& path) const {
    return std::any_of(left_out_.begin(), left_out_.end(),
                       [&path](const std::string& one) { return is_below(one, path); });
  }

  const FolderSizes::Route& route_;
  std::vector<std::string> left_out_;
  const std::stop_token& stop_;
  List found_;
  List others_;
};

bool is_short(const ports::FilesystemSnapshot& filesystem) {
  const auto level = filesystem.pressure.level;
  return filesystem.reading && level != policy::Level::kOk && level != policy::Level::kUnknown;
}

}  // namespace

std::vector<FolderSizes::Found> FolderSizes::walk(const Route& route, const std::stop_token& stop) {
  ::setpriority(PRIO_PROCESS, 0, kLowestPriority);  // Linux: of this thread alone, which does nothing else
  return Walk(route, stop).run();
}

FolderSizes::Route FolderSizes::route() const {
  Route route;
  for (const auto& one : parts_.filesystems.answered()) {
    if (is_short(one)) route.filesystems.push_back({one.device, one.mount, one.reading->total});
  }
  const auto home = parts_.home();
  if (!home.is_assumed) route.data_root = home.data_root;
  for (const auto& mount : parts_.filesystems.mounts()) route.mounts.push_back(mount.mount_point);
  route.elsewhere = home.stores;
  const auto& paths = parts_.settings.paths;
  route.elsewhere.insert(route.elsewhere.end(), {home.data_root, paths.builds, paths.git_mirrors});
  // The ballast is told by itself: where it lies (daemon/ballast).
  route.elsewhere.push_back(paths.state + "/ballast");
  for (const auto& one : route.filesystems) route.elsewhere.push_back(joined(one.mount, ".buildwarden"));
  std::erase(route.elsewhere, "");
  return route;
}

asio::awaitable<void> FolderSizes::turn() {
  const auto now = parts_.clock.now().boot;
  auto wanted = route();
  if (wanted.filesystems.empty() && walked_at_ && now - *walked_at_ > kSizesKept) found_.clear();
  if (wanted.filesystems.empty() || (walked_at_ && now - *walked_at_ < kBetweenSizes)) co_return;
  walked_at_ = now;
  const auto stop = stop_.get_token();
  std::function<Result<std::vector<Found>>()> work = [wanted = std::move(wanted), stop] {
    return Result<std::vector<Found>>(walk(wanted, stop));
  };
  auto found = co_await worker_.compute<std::vector<Found>>(std::move(work), kSizesDeadline);
  if (!found || stop_.stop_requested()) co_return;
  const auto looked_at = parts_.clock.now().wall;
  for (auto& one : *found) one.user.looked_at = looked_at;
  co_await name_containers(&*found);
  found_ = *std::move(found);
}

asio::awaitable<void> FolderSizes::name_containers(std::vector<Found>* found) {
  const auto containers = co_await parts_.containers.list_containers();
  for (auto& [device, user] : *found) {
    if (user.kind != "container_log") continue;
    const auto id = std::exchange(user.name, user.name.substr(0, kDigitsOfId));
    if (!containers) continue;
    const auto named =
        std::find_if(containers->begin(), containers->end(), [&id](const auto& one) { return one.id == id; });
    if (named != containers->end() && !named->name.empty()) user.name = named->name;
  }
}

asio::awaitable<void> FolderSizes::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> FolderSizes::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(kIdleTick);
  }
}

void FolderSizes::stop() {
  stop_.request_stop();
  loop_timer_.stop();
}

std::vector<ports::DiskUser> FolderSizes::users_on(const std::string& device) const {
  std::vector<ports::DiskUser> users;
  for (const auto& one : found_) {
    const bool is_builders = one.user.kind == "volume" && parts_.ours(one.user.name);
    if (one.device == device && !is_builders) users.push_back(one.user);
  }
  return users;
}

}  // namespace buildwarden::disk
