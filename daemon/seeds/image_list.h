// Which of the engine's images a seed lists.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/time.h"
#include "common/worker.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/worth.h"

namespace buildwarden::seeds {

// All outlive the coroutine.
struct ImageList {
  ports::Images& images;
  const ports::LearnedWorth& worth;
  WorkerPool& workers;
  std::size_t most = 0;
  std::vector<std::string> without{};  // names of those that each instance brings anyway
};

// policy::seed_images() of what the engine has now. The errors of the engine.
ports::Async<std::vector<std::string>> list_valuable_images(ImageList list, Now now);

}  // namespace buildwarden::seeds
