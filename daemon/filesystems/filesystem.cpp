#include "daemon/filesystems/filesystem.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kCalmFrom = std::chrono::seconds{1};

policy::Reading reading_of(const PathStat& snapshot, Now at) {
  policy::Reading reading;
  reading.total = snapshot.total;
  reading.free = snapshot.free;
  reading.free_to_root = snapshot.free_to_root;
  reading.total_inodes = snapshot.total_inodes;
  reading.free_inodes = snapshot.free_inodes;
  reading.at = at;
  return reading;
}

void add_once(std::vector<std::string>& list, const std::string& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

bool is_data_root(const WatchedFolder& folder) {
  return std::find(folder.roles.begin(), folder.roles.end(), "data_root") != folder.roles.end();
}

}  // namespace

void Filesystem::assign(const std::string& name, const std::vector<WatchedFolder>& folders) {
  snapshot_.name = name;
  const bool whole = std::any_of(folders.begin(), folders.end(), is_data_root);
  snapshot_.paths.clear();
  snapshot_.roles.clear();
  snapshot_.keeps.clear();
  snapshot_.gate = false;
  for (const auto& folder : folders) {
    snapshot_.keeps.insert(folder.keeps.begin(), folder.keeps.end());
    if (whole && folder.roles == std::vector<std::string>{"volumes"}) continue;
    snapshot_.paths.push_back(folder.path);
    for (const auto& role : folder.roles) add_once(snapshot_.roles, role);
    snapshot_.gate = snapshot_.gate || folder.gate;
  }
  name_mount();
}

// Where no mount is known the first of its folders stands for it.
void Filesystem::name_mount() {
  snapshot_.mount = snapshot_.paths.empty() ? "" : snapshot_.paths.front();
  if (snapshot_.home) snapshot_.mount = snapshot_.home->mount_point;
}

void Filesystem::refresh(const Sample& sample) {
  snapshot_.device = device_label(sample.snapshot->key.device);
  snapshot_.reading = reading_of(*sample.snapshot, sample.asked);
  snapshot_.key = sample.snapshot->key;
  snapshot_.home = sample.snapshot->home;
  name_mount();
}

void Filesystem::take(const Sample& sample, const DiskSettings& settings, Now now) {
  refresh(sample);
  ++snapshot_.readings;
  snapshot_.error.clear();
  snapshot_.last_duration = std::max(Duration{0}, now.boot - sample.asked.boot);
  snapshot_.marks = policy::marks_for(settings, *snapshot_.reading, snapshot_.gate);
  assess(snapshot_.reading, now);
}

void Filesystem::fail(const std::string& error, Now now) {
  ++snapshot_.readings;
  ++snapshot_.failures;
  snapshot_.error = error;
  assess(std::nullopt, now);
}

std::optional<LevelChange> Filesystem::take_change() {
  if (snapshot_.readings == 0) return std::nullopt;
  if (announced_once_ && snapshot_.pressure.level == announced_) return std::nullopt;
  LevelChange change{snapshot_, announced_};
  announced_ = snapshot_.pressure.level;
  announced_once_ = true;
  return change;
}

std::optional<std::string> Filesystem::take_mistake() {
  if (snapshot_.marks.mistake == announced_mistake_) return std::nullopt;
  announced_mistake_ = snapshot_.marks.mistake;
  return announced_mistake_;
}

bool Filesystem::is_calm() const { return snapshot_.pressure.next_sample >= kCalmFrom; }

bool Filesystem::is_due(BootTime now) const {
  const auto slack = is_calm() ? snapshot_.pressure.next_sample / 4 : Duration{0};
  return due_ <= now + slack;
}

void Filesystem::assess(const std::optional<policy::Reading>& reading, Now now) {
  auto assessment = policy::assess(reading, snapshot_.marks, std::move(memory_));
  memory_ = std::move(assessment.memory);
  snapshot_.pressure = std::move(assessment.pressure);
  due_ = now.boot + snapshot_.pressure.next_sample;
}

}  // namespace buildwarden::disk
