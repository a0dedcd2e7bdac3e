// What makes the daemon load its configuration again: its files, mounts, and a signal.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "common/file_watch.h"
#include "common/mount_watch.h"
#include "common/worker.h"
#include "daemon/reload.h"

namespace buildwarden {

// On the loop's thread alone; outlives its coroutines: stop(), then run the loop until they have ended.
class ReloadLoop {
 public:
  struct Parts {
    Reload& reload;
    WorkerPool& workers;
    std::function<std::vector<std::string>()> files;  // to be watched now: asked again after each turn
    std::function<void()> mounts_changed;             // a burst of mounts is told once
  };
  ReloadLoop(boost::asio::any_io_executor executor, Parts parts, FileWatchTimes times = FileWatchTimes{});

  // Begins; returns at once.
  void start();
  // Somebody asks for a reload.
  void ask();
  void stop();

 private:
  boost::asio::awaitable<void> run();
  void say_problem();

  boost::asio::any_io_executor executor_;
  Parts parts_;
  FileWatch files_;
  MountWatch mounts_;
  std::string problem_;
  bool asked_ = false;
  bool mounted_ = false;
  bool stopped_ = false;
};

}  // namespace buildwarden
