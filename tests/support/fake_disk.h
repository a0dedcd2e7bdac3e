// A disk that shows what the test says, and a reclaimer that frees what the test says.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/ports/disk.h"

namespace buildwarden::testing {

class FakeDisk final : public ports::DiskViews, public ports::Space {
 public:
  FakeDisk() {
    ports::FilesystemSnapshot gate;
    gate.mount = "/data";
    gate.gate = true;
    gate.reading.emplace();
    gate.marks.critical = 5 * kGiB;
    gate.pressure.level = policy::Level::kOk;
    view.filesystems.push_back(gate);
    set_free(100 * kGiB);
  }

  void set_free(Bytes free) { view.filesystems.front().reading->free = free; }

  [[nodiscard]] ports::DiskView disk_view() const override { return view; }
  boost::asio::awaitable<ports::DiskView> measured_disk_view() override {
    if (while_measuring) while_measuring();
    co_return view;
  }
  ports::Async<ports::SpaceResult> ensure(ports::SpaceRequest request, ports::Progress progress) override {
    if (request.quiet) {
      estimated.push_back(request);
      if (while_estimating) while_estimating();
      co_return plan;
    }
    requests.push_back(request);
    progress("freeing");
    if (const auto making = while_making) making();  // a copy: it may put another one in its place
    if (failure) co_return *failure;
    co_return result;
  }

  ports::DiskView view;
  std::vector<ports::SpaceRequest> requests;   // to make room
  std::vector<ports::SpaceRequest> estimated;  // only what it would come to
  std::function<void()> while_making;
  std::function<void()> while_estimating;
  std::function<void()> while_measuring;
  ports::SpaceResult result;
  ports::SpaceResult plan = within_reach();  // of an estimate
  std::optional<Error> failure;

 private:
  static ports::SpaceResult within_reach() {
    ports::SpaceResult plan;
    plan.reached = true;
    return plan;
  }
};

}  // namespace buildwarden::testing
