#include "daemon/filesystems/clock_step_detector.h"

#include <cstdint>
#include <sstream>
#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kTolerated = std::chrono::seconds{60};
constexpr std::int64_t kNever = -1;  // in the file, for a time that there is not

}  // namespace

ClockStepDetector::ClockStepDetector(std::string folder, std::string boot_id)
    : folder_(std::move(folder)), boot_id_(std::move(boot_id)) {
  if (!folder_.empty() && !boot_id_.empty()) load();
}

std::optional<Duration> ClockStepDetector::note(Now now) {
  const auto last = last_;
  // Against the first value since the last step, so that many small steps add up.
  const Duration step = last ? (now.wall - last->wall) - (now.boot - last->boot) : Duration{0};
  if (last && step <= kTolerated && step >= -kTolerated) return std::nullopt;
  last_ = now;
  if (last) stepped_at_ = now.boot;
  save();
  return last ? std::optional(step) : std::nullopt;
}

bool ClockStepDetector::steady_for(Duration time, Now now) const {
  return !stepped_at_ || now.boot - *stepped_at_ > time;
}

void ClockStepDetector::load() {
  const auto text = read_file(path(), kKiB);
  if (!text) return;
  std::istringstream words(*text);
  std::string boot_id;
  std::int64_t wall = 0;
  std::int64_t boot = 0;
  std::int64_t stepped = kNever;
  if (!(words >> boot_id >> wall >> boot >> stepped) || boot_id != boot_id_) return;
  last_ = Now{WallTime{Duration{wall}}, BootTime{Duration{boot}}};
  if (stepped != kNever) stepped_at_ = BootTime{Duration{stepped}};
}

void ClockStepDetector::save() const {
  if (folder_.empty() || boot_id_.empty() || !make_folders(folder_)) return;
  const auto stepped = stepped_at_ ? std::int64_t{stepped_at_->time_since_epoch().count()} : kNever;
  const auto text = format("{} {} {} {}\n", boot_id_, std::int64_t{last_->wall.time_since_epoch().count()},
                           std::int64_t{last_->boot.time_since_epoch().count()}, stepped);
  (void)write_file_atomically(path(), text).ok();
}

}  // namespace buildwarden::disk
