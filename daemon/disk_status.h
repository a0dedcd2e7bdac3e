// The disk as others see it.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/evictors/deletion_roots.h"
#include "daemon/filesystems/disk_usage.h"
#include "daemon/filesystems/filesystem_table.h"
#include "daemon/ports/disk.h"
#include "daemon/reclaim/reclaimer.h"

namespace buildwarden {

// What the last turns left. Lives no longer than what it looks at.
class DiskStatus final : public ports::DiskViews {
 public:
  struct Parts {
    disk::FilesystemTable& filesystems;
    const disk::Reclaimer& reclaimer;
    const disk::DiskUsage& disk_usage;
    std::function<std::string()> ledger_error;  // why what was learned is not kept on disk, "" when it is
    // What the agent's checkouts and git mirrors take, each on the disk that it lies on; may be empty.
    std::function<std::vector<ports::DiskUser>()> agent_users{};
    const disk::DeletionRoots* roots = nullptr;      // may be none
    std::function<ports::ImageStoreView()> store{};  // may be empty
    // Volumes, containers' logs and other folders on that device; may be empty.
    std::function<std::vector<ports::DiskUser>(const std::string& device)> folder_users{};
    std::function<bool()> purges_checkouts{};  // on_full.purge_builds, now; may be empty: no
  };
  explicit DiskStatus(Parts parts) : parts_(std::move(parts)) {}
  [[nodiscard]] ports::DiskView disk_view() const override;
  boost::asio::awaitable<ports::DiskView> measured_disk_view() override;

 private:
  void add_agent_users(ports::DiskView& view) const;
  void add_folder_users(ports::DiskView& view) const;

  Parts parts_;
};

}  // namespace buildwarden
