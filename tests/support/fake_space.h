// Somebody who makes room, or not, as the test says.
#pragma once

#include <vector>

#include "daemon/ports/disk.h"

namespace buildwarden::testing {

class FakeSpace final : public ports::Space {
 public:
  std::vector<ports::SpaceRequest> requests;
  ports::SpaceResult answer;
  ports::Async<ports::SpaceResult> ensure(ports::SpaceRequest request, ports::Progress) override {
    requests.push_back(std::move(request));
    co_return answer;
  }
};

}  // namespace buildwarden::testing
