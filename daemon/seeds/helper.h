// The seeds' own process, as the daemon runs it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/subprocess.h"
#include "common/worker.h"
#include "daemon/ports/engine.h"
#include "daemon/seeds/order.h"

namespace buildwarden::seeds {

// How far it is: written by a worker, read by the loop.
struct ProgressCount {
  std::atomic<Bytes> done{0};
  std::atomic<Bytes> of{0};
};

using RunProgram = std::function<Result<ProgramEnd>(ProgramCall, const std::stop_token&)>;

// The rights that an order needs, as properties of its unit, and an end to it after `patience` with all that it
// started. Whatever is unpacked by it, it can write to the volume's folder and the location alone.
std::vector<std::string> unit_properties(const Order& order, Duration patience);

struct SeedCall {
  Order order;
  Duration patience{0};
  std::shared_ptr<ProgressCount> progress;
  std::stop_token stop{};
};

// Runs the order in a unit of its own (outside of systemd as a child) on one of `workers`, and gives its answer. It
// ends `patience` after the call, however long no worker was free. kTimeout, kCancelled: it was killed, with all that
// it had started.
ports::Async<Answer> carry_out(WorkerPool& workers, RunProgram run, SeedCall call);

}  // namespace buildwarden::seeds
