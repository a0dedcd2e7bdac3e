// The disk room as others see it.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "daemon/disk/deletion_roots.h"
#include "daemon/disk/gauges.h"
#include "daemon/disk/ledger.h"
#include "daemon/disk/reclaimer.h"
#include "daemon/disk/users.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// What the last turns left. Lives no longer than what it looks at.
class Views final : public ports::DiskViews {
 public:
  struct Parts {
    Gauges& gauges;
    const Reclaimer& reclaimer;
    const DiskUsers& users;
    const Ledger& ledger;
    // Who uses the disk that the builds are on; may be empty.
    std::function<std::vector<ports::DiskUser>()> builds_users{};
    const DeletionRoots* roots = nullptr;            // may be none
    std::function<ports::ImageStoreView()> store{};  // may be empty
  };
  explicit Views(Parts parts) : parts_(std::move(parts)) {}
  [[nodiscard]] ports::DiskView disk_view() const override;
  boost::asio::awaitable<ports::DiskView> measured_disk_view() override;

 private:
  void add_builds_users(ports::DiskView& view) const;

  Parts parts_;
};

}  // namespace buildwarden::disk
