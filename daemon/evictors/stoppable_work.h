// Work of a worker that ends when nobody waits for it any more.
#pragma once

#include <functional>
#include <stop_token>
#include <utility>

#include "common/worker.h"

namespace buildwarden::disk {

struct WorkLimits {
  Duration deadline;
  std::stop_token stop;  // of its room
};

// As WorkerPool::compute(). The token that `work` is given is stopped with the room's, past the deadline, and when the
// caller is cancelled.
template <class T>
boost::asio::awaitable<Result<T>> compute_stoppable(WorkerPool& workers,
                                                    std::function<Result<T>(const std::stop_token&)> work,
                                                    WorkLimits limits) {
  struct StoppedAtEnd {
    std::stop_source source;
    ~StoppedAtEnd() { source.request_stop(); }
  } own;
  const auto stop_own = [&own] { own.source.request_stop(); };
  const std::stop_callback linked(limits.stop, stop_own);
  std::function<Result<T>()> job = [work = std::move(work), stop = own.source.get_token()] { return work(stop); };
  auto done = co_await workers.compute<T>(std::move(job), limits.deadline);
  co_return done;
}

}  // namespace buildwarden::disk
