#include "daemon/disk/gauges.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

std::string name_of(const FilesystemKey& key) { return format("{}/{:x}", device_label(key.device), key.fsid); }

std::vector<std::string> paths_of(const std::vector<WatchedFolder>& folders) {
  std::vector<std::string> paths;
  for (const auto& folder : folders) paths.push_back(folder.path);
  return paths;
}

Measured measured(const std::string& name, const Gauge& gauge) {
  const auto& view = gauge.view();
  Measured one;
  one.filesystem = format("{} at {}", name, view.mount);
  one.device = view.device;
  one.mount = view.mount;
  one.paths = view.paths;
  one.roles = view.roles;
  one.keeps = view.keeps;
  one.gate = view.gate;
  one.marks = view.marks;
  one.level = view.pressure.level;
  one.wants_reclaim = view.pressure.reclaim;
  one.ballast = view.ballast.bytes;
  if (view.error.empty()) one.reading = view.reading;
  return one;
}

}  // namespace

Gauges::Gauges(Parts parts) : parts_(std::move(parts)) {}

asio::awaitable<void> Gauges::observe(bool every) {
  const auto folders = watched_folders(parts_.settings, parts_.home());
  const Now began = parts_.clock.now();
  auto paths = due_paths(folders, began, every);
  const bool calm = std::all_of(gauges_.begin(), gauges_.end(), [](const auto& one) { return one.second.is_calm(); });
  const auto haste = calm ? Haste::kCalm : Haste::kPressing;
  const auto samples = co_await parts_.sampler.sample(std::move(paths), began, haste);
  place(folders, samples);
  regroup(folders);
  assess(samples, parts_.clock.now());
}

asio::awaitable<std::vector<Measured>> Gauges::measure() {
  const auto folders = watched_folders(parts_.settings, parts_.home());
  const Now began = parts_.clock.now();
  auto paths = paths_of(folders);
  const auto samples = co_await parts_.sampler.sample(std::move(paths), began);
  std::set<std::string> fresh;
  for (const auto& sample : samples) {
    const auto name = sample.snapshot ? name_of(sample.snapshot->key) : std::string();
    const auto gauge = gauges_.find(name);
    if (gauge == gauges_.end()) continue;
    gauge->second.refresh(sample);
    fresh.insert(name);
  }
  std::vector<Measured> all;
  for (const auto& [name, gauge] : gauges_) {
    all.push_back(measured(name, gauge));
    if (!fresh.contains(name)) all.back().reading.reset();
  }
  co_return all;
}

std::vector<LevelChange> Gauges::take_changes() {
  std::vector<LevelChange> changes;
  for (auto& [name, gauge] : gauges_) {
    if (auto change = gauge.take_change()) changes.push_back(std::move(*change));
  }
  return changes;
}

std::vector<MarksMistake> Gauges::take_mistakes() {
  std::vector<MarksMistake> mistakes;
  for (auto& [name, gauge] : gauges_) {
    if (auto text = gauge.take_mistake()) mistakes.push_back({gauge.view().mount, *std::move(text)});
  }
  return mistakes;
}

BootTime Gauges::next_due() const {
  auto next = BootTime::max();
  for (const auto& [name, gauge] : gauges_) next = std::min(next, gauge.due());
  return next;
}

std::vector<ports::FilesystemView> Gauges::views() const {
  std::vector<ports::FilesystemView> views;
  for (const auto& [name, gauge] : gauges_) views.push_back(gauge.view());
  return views;
}

std::vector<Measured> Gauges::last() const {
  std::vector<Measured> all;
  for (const auto& [name, gauge] : gauges_) all.push_back(measured(name, gauge));
  return all;
}

std::vector<Site> Gauges::sites() const {
  std::vector<Site> sites;
  for (const auto& [name, gauge] : gauges_) {
    if (!gauge.view().reading) continue;
    sites.push_back({name, gauge.key(), &gauge.view(), gauge.home()});
  }
  return sites;
}

void Gauges::show_ballast(const std::string& name, ports::BallastView ballast) {
  const auto gauge = gauges_.find(name);
  if (gauge != gauges_.end()) gauge->second.show_ballast(std::move(ballast));
}

void Gauges::forget_history(const std::string& name) {
  const auto gauge = gauges_.find(name);
  if (gauge != gauges_.end()) gauge->second.forget_history();
}

bool Gauges::engine_owned(const ports::FilesystemView& view) {
  return std::find(view.roles.begin(), view.roles.end(), "data_root") != view.roles.end();
}

std::vector<std::string> Gauges::due_paths(const Folders& folders, Now now, bool every) const {
  std::vector<std::string> paths;
  for (const auto& folder : folders) {
    const auto name = gauge_of_.find(folder.path);
    const auto gauge = name == gauge_of_.end() ? gauges_.end() : gauges_.find(name->second);
    if (every || gauge == gauges_.end() || gauge->second.is_due(now.boot)) paths.push_back(folder.path);
  }
  return paths;
}

// A folder stays with its filesystem while it does not answer; one that is gone has none.
void Gauges::place(const Folders& folders, const std::vector<Sample>& samples) {
  for (const auto& sample : samples) {
    const bool known = gauge_of_.contains(sample.path);
    if (sample.snapshot) gauge_of_[sample.path] = name_of(sample.snapshot->key);
    if (sample.absent || (!sample.snapshot && !known)) gauge_of_[sample.path] = "none " + sample.path;
    const auto folder = std::find_if(folders.begin(), folders.end(),
                                     [&sample](const auto& watched) { return watched.path == sample.path; });
    if (sample.absent && folder != folders.end() && folder->optional) gauge_of_.erase(sample.path);
  }
}

void Gauges::regroup(const Folders& folders) {
  std::map<std::string, Folders> groups;
  const bool volumes_are_seen = std::any_of(folders.begin(), folders.end(), [this](const WatchedFolder& folder) {
    return folder.keeps.contains(ports::Kept::kVolumes) && gauge_of_.contains(folder.path);
  });
  for (auto folder : folders) {
    // Volumes that are still to be made will lie there.
    const bool is_root = std::find(folder.roles.begin(), folder.roles.end(), "data_root") != folder.roles.end();
    if (is_root && !volumes_are_seen) folder.keeps.insert(ports::Kept::kVolumes);
    const auto name = gauge_of_.find(folder.path);
    if (name != gauge_of_.end()) groups[name->second].push_back(std::move(folder));
  }
  std::erase_if(gauges_, [&groups](const auto& entry) { return !groups.contains(entry.first); });
  for (const auto& [name, its_folders] : groups) gauges_[name].assign(its_folders);
}

// One good answer is enough for a filesystem; it has failed when all that were asked failed. Folders that are still
// waited for say nothing yet.
void Gauges::assess(const std::vector<Sample>& samples, Now now) {
  constexpr Duration kAskAgain{250};
  std::map<std::string, std::vector<const Sample*>> by_gauge;
  for (const auto& sample : samples) {
    const auto name = gauge_of_.find(sample.path);
    if (name != gauge_of_.end()) by_gauge[name->second].push_back(&sample);
  }
  for (const auto& [name, its_samples] : by_gauge) {
    auto& gauge = gauges_[name];
    const auto good = std::find_if(its_samples.begin(), its_samples.end(),
                                   [](const Sample* sample) { return sample->snapshot.has_value(); });
    const auto bad = std::find_if(its_samples.begin(), its_samples.end(),
                                  [](const Sample* sample) { return !sample->error.empty(); });
    if (good != its_samples.end()) {
      gauge.take(**good, parts_.settings.disk, now);
    } else if (bad != its_samples.end()) {
      gauge.fail((*bad)->error, now);
    } else {
      gauge.set_due(now.boot + kAskAgain);
    }
  }
}

}  // namespace buildwarden::disk
