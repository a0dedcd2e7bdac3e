// Work that may block or take long, off the loop: handed to a pool, awaited on the loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

// A fixed number of threads. Jobs of a one-thread pool run in order, so such a pool may own a resource (a database).
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs `work` on the pool and resumes the caller on its own executor. Past `deadline` the caller goes on with
  // kTimeout while the work still runs (a thread cannot be stopped): so `work` owns all it touches, by value or
  // shared_ptr. Errors that `work` throws come back as kIo.
  boost::asio::awaitable<Result<void>> run(std::function<void()> work, Duration deadline);

  // The same with a value. GCC 12: name the callable on the line before the co_await.
  template <class T>
  boost::asio::awaitable<Result<T>> compute(std::function<Result<T>()> work, Duration deadline) {
    auto slot = std::make_shared<std::optional<Result<T>>>();
    std::function<void()> job = [slot, work = std::move(work)] { slot->emplace(work()); };
    auto done = co_await run(std::move(job), deadline);
    if (!done) co_return std::move(done).error();
    co_return std::move(**slot);
  }

  // Without waiting, in order with the rest.
  void post(std::function<void()> work);

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace buildwarden
