// Threads that remove folders side by side; the inside of tree_removal.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "common/tree_remover.h"

namespace buildwarden {

// Takes what it is offered while it has few folders waiting, so what waits and is open is bounded however large the
// tree.
class RemovalCrew {
 public:
  // One thread less than `options` says: the other one is the caller, who offers.
  explicit RemovalCrew(RemovalOptions options);
  ~RemovalCrew();
  RemovalCrew(const RemovalCrew&) = delete;
  RemovalCrew& operator=(const RemovalCrew&) = delete;

  // From any thread.
  bool take_over(RemovalTask task);
  // Works along until nothing is left to do. What was removed; what could not be is not told.
  const TreeRemoved& finish();

 private:
  void work();
  void do_one(const RemovalTask& task);

  RemovalOptions options_;
  std::size_t most_;  // that wait
  std::atomic<std::size_t> waiting_ = 0;
  std::mutex mutex_;  // for all below
  std::condition_variable changed_;
  std::deque<RemovalTask> tasks_;
  std::size_t at_work_ = 0;
  bool offering_ = true;  // the caller may still have more
  TreeRemoved removed_;
  std::vector<std::thread> threads_;
};

}  // namespace buildwarden
