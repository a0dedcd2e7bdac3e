// Work that may hang in the kernel for ever, on a thread that nobody else needs.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "common/worker.h"

namespace buildwarden {

// Threads that hang in the kernel cannot be joined: they are kept reachable until the process ends.
void leave_behind(std::unique_ptr<WorkerPool> thread);

// At most one piece of work at a time: while one is pending no other is begun. Used on the loop only.
template <class T>
class DetachedCall {
 public:
  DetachedCall() = default;
  // Does not wait for pending work: its thread is left behind with all it owns, and never touches the loop again.
  ~DetachedCall() {
    if (!box_) return;
    const std::lock_guard lock(box_->mutex);
    box_->loop.reset();
    if (!box_->answer) leave_behind(std::move(thread_));
  }
  DetachedCall(const DetachedCall&) = delete;
  DetachedCall& operator=(const DetachedCall&) = delete;

  // `work` owns all it touches and does not throw; `done` is posted to `loop` when it ends. Only when nothing is
  // pending and all was collected.
  void begin(std::function<T()> work, const boost::asio::any_io_executor& loop, std::function<void()> done) {
    if (!thread_) thread_ = std::make_unique<WorkerPool>(1);
    box_ = std::make_shared<Box>();
    box_->loop = loop;
    thread_->post([box = box_, work = std::move(work), done = std::move(done)]() mutable {
      T answer = work();
      const std::lock_guard lock(box->mutex);
      box->answer.emplace(std::move(answer));
      if (box->loop) boost::asio::post(*box->loop, std::move(done));
    });
  }
  [[nodiscard]] bool pending() const {
    if (!box_) return false;
    const std::lock_guard lock(box_->mutex);
    return !box_->answer;
  }
  // What the finished work gave, once.
  std::optional<T> collect() {
    if (!box_ || pending()) return std::nullopt;
    auto answer = std::move(box_->answer);
    box_.reset();
    return answer;
  }

 private:
  // Shared by the loop and the thread.
  struct Box {
    std::mutex mutex;
    std::optional<boost::asio::any_io_executor> loop;  // nothing: nobody is to be told any more
    std::optional<T> answer;
  };
  std::unique_ptr<WorkerPool> thread_;
  std::shared_ptr<Box> box_;
};

}  // namespace buildwarden
