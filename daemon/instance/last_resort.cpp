#include "daemon/instance/last_resort.h"

namespace buildwarden::instance {

const std::set<std::string>& LastResort::full() const {
  const auto now = parts_.clock.now().boot;
  if (looked_ == now) return full_;
  looked_ = now;
  full_.clear();
  for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
    const auto level = filesystem.pressure.level;
    const bool is_full = level == policy::Level::kCritical || level == policy::Level::kExhausted;
    if (filesystem.gate && is_full && filesystem.error.empty()) full_.insert(filesystem.device);
  }
  return full_;
}

bool LastResort::frees(const ports::FilesystemSnapshot& filesystem) const {
  return parts_.settings.on_full.terminate_instance && full().contains(filesystem.device);
}

ports::Async<std::vector<policy::Candidate>> LastResort::list(const policy::RungTurn& turn) {
  const bool in_earnest = turn.terminate && (!turn.dry_run || parts_.settings.dry_run);
  if (in_earnest && parts_.settings.on_full.terminate_instance) {
    for (const auto& device : full()) parts_.termination.ask(device);
  }
  co_return std::vector<policy::Candidate>{};
}

ports::Async<ports::EvictionResult> LastResort::evict(const policy::Candidate&, const policy::RungTurn&) {
  co_return Error(Errc::kInvalid, "the last resort deletes nothing");
}

std::optional<ports::LastResortView> LastResort::last_resort(const ports::FilesystemSnapshot& filesystem) const {
  return parts_.termination.would(filesystem.device);
}

}  // namespace buildwarden::instance
