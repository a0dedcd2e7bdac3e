#include "daemon/disk_status.h"

namespace buildwarden {

namespace {

// The builders' caches lie in the engine's volumes, and its images where it has its store.
void add_engine_users(ports::DiskView& view, const std::vector<ports::DiskUser>& users) {
  for (auto& filesystem : view.filesystems) {
    for (const auto& user : users) {
      const auto kind = user.kind == "builder_cache" ? ports::Kept::kVolumes : ports::Kept::kImages;
      if (filesystem.keeps.contains(kind)) filesystem.users.push_back(user);
    }
  }
}

}  // namespace

void DiskStatus::add_agent_users(ports::DiskView& view) const {
  if (!parts_.agent_users) return;
  const auto users = parts_.agent_users();
  for (auto& filesystem : view.filesystems) {
    for (const auto& user : users) {
      if (filesystem.has_role(user.kind == "git_mirror" ? "git_mirrors" : "builds")) filesystem.users.push_back(user);
    }
  }
}

void DiskStatus::add_folder_users(ports::DiskView& view) const {
  if (!parts_.folder_users) return;
  for (auto& filesystem : view.filesystems) {
    const auto users = parts_.folder_users(filesystem.device);
    filesystem.users.insert(filesystem.users.end(), users.begin(), users.end());
  }
}

ports::DiskView DiskStatus::disk_view() const {
  ports::DiskView view;
  view.filesystems = parts_.filesystems.snapshots();
  add_engine_users(view, parts_.disk_usage.last());
  add_agent_users(view);
  add_folder_users(view);
  view.rungs = parts_.reclaimer.stats();
  view.reclaiming = parts_.reclaimer.busy();
  view.purges_checkouts = parts_.purges_checkouts && parts_.purges_checkouts();
  if (parts_.store) view.image_store = parts_.store();
  if (parts_.roots != nullptr) view.refused_roots = parts_.roots->refused();
  view.ledger_error = parts_.ledger_error();
  return view;
}

boost::asio::awaitable<ports::DiskView> DiskStatus::measured_disk_view() {
  co_await parts_.filesystems.measure();
  co_return disk_view();
}

}  // namespace buildwarden
