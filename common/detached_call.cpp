#include "common/detached_call.h"

#include <vector>

namespace buildwarden {

void leave_behind(std::unique_ptr<WorkerPool> thread) {
  static auto* const kept = new std::vector<std::unique_ptr<WorkerPool>>;
  kept->push_back(std::move(thread));
}

}  // namespace buildwarden
