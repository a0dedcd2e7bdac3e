#include "daemon/disk/views.h"

namespace buildwarden::disk {

ports::DiskView Views::disk_view() const {
  ports::DiskView view;
  view.filesystems = parts_.gauges.views();
  for (auto& filesystem : view.filesystems) {
    if (Gauges::engine_owned(filesystem)) filesystem.users = parts_.users.last();
  }
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
