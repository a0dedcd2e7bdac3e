#include "daemon/disk/views.h"

#include <algorithm>

namespace buildwarden::disk {

void Views::add_builds_users(ports::DiskView& view) const {
  if (!parts_.builds_users) return;
  const auto users = parts_.builds_users();
  for (auto& filesystem : view.filesystems) {
    const auto& roles = filesystem.roles;
    if (std::find(roles.begin(), roles.end(), "builds") == roles.end()) continue;
    filesystem.users.insert(filesystem.users.end(), users.begin(), users.end());
  }
}

ports::DiskView Views::disk_view() const {
  ports::DiskView view;
  view.filesystems = parts_.gauges.views();
  for (auto& filesystem : view.filesystems) {
    if (Gauges::engine_owned(filesystem)) filesystem.users = parts_.users.last();
  }
  add_builds_users(view);
  view.rungs = parts_.reclaimer.stats();
  view.reclaiming = parts_.reclaimer.busy();
  view.ledger_error = parts_.ledger.error();
  return view;
}

boost::asio::awaitable<ports::DiskView> Views::measured_disk_view() {
  co_await parts_.gauges.measure();
  co_return disk_view();
}

}  // namespace buildwarden::disk
