#include "daemon/disk/gauge.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kCalmFrom = std::chrono::seconds{1};

policy::Reading reading_of(const FilesystemSnapshot& snapshot, Now at) {
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

void Gauge::assign(const std::vector<WatchedFolder>& folders) {
  const bool whole = std::any_of(folders.begin(), folders.end(), is_data_root);
  view_.paths.clear();
  view_.roles.clear();
  view_.keeps.clear();
  view_.gate = false;
  for (const auto& folder : folders) {
    view_.keeps.insert(folder.keeps.begin(), folder.keeps.end());
    if (whole && folder.roles == std::vector<std::string>{"volumes"}) continue;
    view_.paths.push_back(folder.path);
    for (const auto& role : folder.roles) add_once(view_.roles, role);
    view_.gate = view_.gate || folder.gate;
  }
  name_mount();
}

// Where no mount is known the first of its folders stands for it.
void Gauge::name_mount() {
  view_.mount = view_.paths.empty() ? "" : view_.paths.front();
  if (home_) view_.mount = home_->mount_point;
}

void Gauge::refresh(const Sample& sample) {
  view_.device = device_label(sample.snapshot->key.device);
  view_.reading = reading_of(*sample.snapshot, sample.asked);
  key_ = sample.snapshot->key;
  home_ = sample.snapshot->home;
  name_mount();
}

void Gauge::take(const Sample& sample, const DiskSettings& settings, Now now) {
  refresh(sample);
  ++view_.readings;
  view_.error.clear();
  view_.last_duration = std::max(Duration{0}, now.boot - sample.asked.boot);
  view_.marks = policy::marks_for(settings, *view_.reading, view_.gate);
  assess(view_.reading, now);
}

void Gauge::fail(const std::string& error, Now now) {
  ++view_.readings;
  ++view_.failures;
  view_.error = error;
  assess(std::nullopt, now);
}

std::optional<LevelChange> Gauge::take_change() {
  if (view_.readings == 0) return std::nullopt;
  if (announced_once_ && view_.pressure.level == announced_) return std::nullopt;
  LevelChange change{view_, announced_};
  announced_ = view_.pressure.level;
  announced_once_ = true;
  return change;
}

std::optional<std::string> Gauge::take_mistake() {
  if (view_.marks.mistake == announced_mistake_) return std::nullopt;
  announced_mistake_ = view_.marks.mistake;
  return announced_mistake_;
}

bool Gauge::is_calm() const { return view_.pressure.next_sample >= kCalmFrom; }

bool Gauge::is_due(BootTime now) const {
  const auto slack = is_calm() ? view_.pressure.next_sample / 4 : Duration{0};
  return due_ <= now + slack;
}

void Gauge::assess(const std::optional<policy::Reading>& reading, Now now) {
  auto assessment = policy::assess(reading, view_.marks, std::move(memory_));
  memory_ = std::move(assessment.memory);
  view_.pressure = std::move(assessment.pressure);
  due_ = now.boot + view_.pressure.next_sample;
}

}  // namespace buildwarden::disk
