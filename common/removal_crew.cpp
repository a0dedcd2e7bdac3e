#include "common/removal_crew.h"

#include <chrono>
#include <utility>

#include "common/begin_thread.h"

namespace buildwarden {
namespace {

constexpr std::size_t kWaitingPerThread = 4;
// Each change is told; a condition_variable without a bound needs a younger libstdc++ than some hosts have.
constexpr std::chrono::milliseconds kLook{100};

}  // namespace

RemovalCrew::RemovalCrew(RemovalOptions options)
    : options_(std::move(options)), most_(kWaitingPerThread * options_.threads) {
  for (unsigned at = 1; at < options_.threads; ++at) {
    auto begun = begin_thread([this] { work(); });
    if (!begun) break;  // those that there are, or the caller alone, do it all
    threads_.push_back(*std::move(begun));
  }
}

RemovalCrew::~RemovalCrew() { finish(); }

bool RemovalCrew::take_over(RemovalTask task) {
  if (waiting_.load(std::memory_order_relaxed) >= most_) return false;
  const std::lock_guard lock(mutex_);
  if (tasks_.size() >= most_) return false;
  tasks_.push_back(std::move(task));
  waiting_ = tasks_.size();
  changed_.notify_one();
  return true;
}

const TreeRemoved& RemovalCrew::finish() {
  {
    const std::lock_guard lock(mutex_);
    offering_ = false;
    changed_.notify_all();
  }
  work();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  return removed_;
}

void RemovalCrew::work() {
  std::unique_lock lock(mutex_);
  while (!tasks_.empty() || at_work_ > 0 || offering_) {
    if (tasks_.empty()) {
      changed_.wait_for(lock, kLook);
      continue;
    }
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    waiting_ = tasks_.size();
    ++at_work_;
    lock.unlock();
    do_one(task);
    lock.lock();
    if (--at_work_ == 0) changed_.notify_all();
  }
}

void RemovalCrew::do_one(const RemovalTask& task) {
  TreeRemover remover(task.parent->get(), task.where,
                      {options_.stop, options_.until, options_.clear_flags,
                       [this](RemovalTask more) { return take_over(std::move(more)); }});
  remover.remove(task.name);
  const std::lock_guard lock(mutex_);
  removed_.removed += remover.result().removed;
  removed_.bytes += remover.result().bytes;
}

}  // namespace buildwarden
