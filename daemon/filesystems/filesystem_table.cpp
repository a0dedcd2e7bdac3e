#include "daemon/filesystems/filesystem_table.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

std::string name_of(const ports::FilesystemKey& key) { return format("{}/{:x}", device_label(key.device), key.fsid); }

std::vector<std::string> paths_of(const std::vector<WatchedFolder>& folders) {
  std::vector<std::string> paths;
  for (const auto& folder : folders) paths.push_back(folder.path);
  return paths;
}

}  // namespace

FilesystemTable::FilesystemTable(Parts parts) : parts_(std::move(parts)) {}

asio::awaitable<void> FilesystemTable::observe(bool every) {
  const auto folders = watched_folders(parts_.settings, parts_.home());
  const Now began = parts_.clock.now();
  auto paths = due_paths(folders, began, every);
  const bool calm =
      std::all_of(filesystems_.begin(), filesystems_.end(), [](const auto& one) { return one.second.is_calm(); });
  const auto haste = calm ? Haste::kCalm : Haste::kPressing;
  const auto samples = co_await parts_.sampler.sample(std::move(paths), began, haste);
  place(folders, samples);
  regroup(folders);
  assess(samples, parts_.clock.now());
}

asio::awaitable<std::vector<ports::FilesystemSnapshot>> FilesystemTable::measure() {
  const auto folders = watched_folders(parts_.settings, parts_.home());
  const Now began = parts_.clock.now();
  auto paths = paths_of(folders);
  const auto samples = co_await parts_.sampler.sample(std::move(paths), began);
  std::set<std::string> fresh;
  for (const auto& sample : samples) {
    const auto name = sample.snapshot ? name_of(sample.snapshot->key) : std::string();
    const auto filesystem = filesystems_.find(name);
    if (filesystem == filesystems_.end()) continue;
    filesystem->second.refresh(sample);
    fresh.insert(name);
  }
  std::vector<ports::FilesystemSnapshot> all;
  for (const auto& [name, filesystem] : filesystems_) {
    all.push_back(filesystem.snapshot());
    if (!fresh.contains(name) || !all.back().error.empty()) all.back().reading.reset();
  }
  co_return all;
}

std::vector<LevelChange> FilesystemTable::take_changes() {
  std::vector<LevelChange> changes;
  for (auto& [name, filesystem] : filesystems_) {
    if (auto change = filesystem.take_change()) changes.push_back(std::move(*change));
  }
  return changes;
}

std::vector<MarksMistake> FilesystemTable::take_mistakes() {
  std::vector<MarksMistake> mistakes;
  for (auto& [name, filesystem] : filesystems_) {
    if (auto text = filesystem.take_mistake()) mistakes.push_back({filesystem.snapshot().mount, *std::move(text)});
  }
  return mistakes;
}

BootTime FilesystemTable::next_due() const {
  auto next = BootTime::max();
  for (const auto& [name, filesystem] : filesystems_) next = std::min(next, filesystem.due());
  return next;
}

std::vector<ports::FilesystemSnapshot> FilesystemTable::snapshots() const {
  std::vector<ports::FilesystemSnapshot> all;
  for (const auto& [name, filesystem] : filesystems_) all.push_back(filesystem.snapshot());
  return all;
}

std::vector<ports::FilesystemSnapshot> FilesystemTable::answered() const {
  auto all = snapshots();
  std::erase_if(all, [](const auto& filesystem) { return !filesystem.reading; });
  return all;
}

void FilesystemTable::show_ballast(const std::string& name, ports::BallastView ballast) {
  const auto filesystem = filesystems_.find(name);
  if (filesystem != filesystems_.end()) filesystem->second.show_ballast(std::move(ballast));
}

void FilesystemTable::forget_history(const std::string& name) {
  const auto filesystem = filesystems_.find(name);
  if (filesystem != filesystems_.end()) filesystem->second.forget_history();
}

bool FilesystemTable::engine_owned(const ports::FilesystemSnapshot& filesystem) {
  return filesystem.has_role("data_root");
}

std::vector<std::string> FilesystemTable::due_paths(const Folders& folders, Now now, bool every) const {
  std::vector<std::string> paths;
  for (const auto& folder : folders) {
    const auto name = filesystem_of_.find(folder.path);
    const auto filesystem = name == filesystem_of_.end() ? filesystems_.end() : filesystems_.find(name->second);
    if (every || filesystem == filesystems_.end() || filesystem->second.is_due(now.boot)) paths.push_back(folder.path);
  }
  return paths;
}

// A folder stays with its filesystem while it does not answer; one that is gone has none.
void FilesystemTable::place(const Folders& folders, const std::vector<Sample>& samples) {
  for (const auto& sample : samples) {
    const bool known = filesystem_of_.contains(sample.path);
    if (sample.snapshot) filesystem_of_[sample.path] = name_of(sample.snapshot->key);
    if (sample.absent || (!sample.snapshot && !known)) filesystem_of_[sample.path] = "none " + sample.path;
    const auto folder = std::find_if(folders.begin(), folders.end(),
                                     [&sample](const auto& watched) { return watched.path == sample.path; });
    if (sample.absent && folder != folders.end() && folder->optional) filesystem_of_.erase(sample.path);
  }
}

void FilesystemTable::regroup(const Folders& folders) {
  std::map<std::string, Folders> groups;
  const bool volumes_are_seen = std::any_of(folders.begin(), folders.end(), [this](const WatchedFolder& folder) {
    return folder.keeps.contains(ports::Kept::kVolumes) && filesystem_of_.contains(folder.path);
  });
  for (auto folder : folders) {
    // Volumes that are still to be made will lie there.
    const bool is_root = std::find(folder.roles.begin(), folder.roles.end(), "data_root") != folder.roles.end();
    if (is_root && !volumes_are_seen) folder.keeps.insert(ports::Kept::kVolumes);
    const auto name = filesystem_of_.find(folder.path);
    if (name != filesystem_of_.end()) groups[name->second].push_back(std::move(folder));
  }
  std::erase_if(filesystems_, [&groups](const auto& entry) { return !groups.contains(entry.first); });
  for (const auto& [name, its_folders] : groups) filesystems_[name].assign(name, its_folders);
}

// One good answer is enough for a filesystem; it has failed when all that were asked failed. Folders that are still
// waited for say nothing yet.
void FilesystemTable::assess(const std::vector<Sample>& samples, Now now) {
  constexpr Duration kAskAgain{250};
  std::map<std::string, std::vector<const Sample*>> by_filesystem;
  for (const auto& sample : samples) {
    const auto name = filesystem_of_.find(sample.path);
    if (name != filesystem_of_.end()) by_filesystem[name->second].push_back(&sample);
  }
  for (const auto& [name, its_samples] : by_filesystem) {
    auto& filesystem = filesystems_[name];
    const auto good = std::find_if(its_samples.begin(), its_samples.end(),
                                   [](const Sample* sample) { return sample->snapshot.has_value(); });
    const auto bad = std::find_if(its_samples.begin(), its_samples.end(),
                                  [](const Sample* sample) { return !sample->error.empty(); });
    if (good != its_samples.end()) {
      filesystem.take(**good, parts_.settings.disk, now);
    } else if (bad != its_samples.end()) {
      filesystem.fail((*bad)->error, now);
    } else {
      filesystem.set_due(now.boot + kAskAgain);
    }
  }
}

}  // namespace buildwarden::disk
