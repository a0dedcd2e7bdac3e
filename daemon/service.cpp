#include "daemon/service.h"

#include <algorithm>
#include <tuple>

#include "common/format.h"
#include "common/log.h"
#include "common/sd_notify.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

void notify(const std::string& state) {
  const auto sent = sd_notify(state);
  if (!sent) log_warning(sent.error().message());
}

std::string builders_text(const ports::BuildersView& view) {
  const auto warm = std::count_if(view.builders.begin(), view.builders.end(),
                                  [](const auto& one) { return one.state == policy::BuilderState::kWarm; });
  const auto all = static_cast<std::ptrdiff_t>(view.builders.size());
  const auto* noun = all == 1 ? "builder" : "builders";
  return warm == all ? format("{} {} warm", all, noun) : format("{} of {} {} warm", warm, all, noun);
}

std::int64_t free_percent(const ports::FilesystemSnapshot& disk) {
  if (!disk.reading || disk.reading->total <= 0) return 0;
  return 100 * std::clamp<Bytes>(disk.reading->free, 0, disk.reading->total) / disk.reading->total;
}

bool is_better(const ports::FilesystemSnapshot& one, const ports::FilesystemSnapshot& other) {
  return std::tuple(one.pressure.level, -free_percent(one)) < std::tuple(other.pressure.level, -free_percent(other));
}

std::string disk_text(const ports::DiskView& view) {
  const auto worst = std::max_element(view.filesystems.begin(), view.filesystems.end(), is_better);
  if (worst == view.filesystems.end()) return "no disk measured yet";
  const auto level = policy::to_string(worst->pressure.level);
  if (!worst->reading || !worst->error.empty()) return format("{} {}", worst->mount, level);
  return format("{} {} % free, {}", worst->mount, free_percent(*worst), level);
}

// Builders and disks have their own words.
bool is_told_already(const std::string& part) { return part.starts_with("builder ") || part.starts_with("disk "); }

}  // namespace

bool is_at_work(const std::vector<ports::NotReady>& missing, bool before) {
  return std::all_of(missing.begin(), missing.end(), [before](const auto& part) {
    if (part.part == "config" || part.part == "emulation" || part.part == "instance") return true;
    return before && (part.part == "engine" || part.part.starts_with("builder ") || part.part.starts_with("disk "));
  });
}

std::string status_line(const ports::DiskView& disk, const ports::BuildersView& builders,
                        const std::vector<ports::NotReady>& missing) {
  std::string text;
  for (const auto& part : missing) {
    if (!is_told_already(part.part)) text += format("{} not ready, ", part.part);
  }
  if (!builders.builders.empty()) text += builders_text(builders) + ", ";
  return text + disk_text(disk);
}

void Service::ready() { notify(line_.empty() ? "READY=1" : "READY=1\nSTATUS=" + line_); }

void Service::reloading() { notify(reloading_state()); }

void Service::stopping() { notify("STOPPING=1"); }

void Service::status(const std::string& line) {
  if (line == line_) return;
  line_ = line;
  notify("STATUS=" + line);
}

asio::awaitable<void> Service::run() {
  const auto limit = watchdog_limit();
  if (!limit) co_return;
  while (!loop_timer_.stopped()) {
    notify("WATCHDOG=1");
    co_await loop_timer_.sleep_until(std::chrono::steady_clock::now() + std::max(*limit / 2, Duration{1}));
  }
}

}  // namespace buildwarden
