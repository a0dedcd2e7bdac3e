#include "daemon/disk/lane.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

namespace buildwarden::disk {
namespace asio = boost::asio;

// Shared by the loop and the thread.
struct Lane::Box {
  std::mutex mutex;
  std::optional<asio::any_io_executor> loop;  // nothing: the lane is gone, nobody is to be told
  std::vector<PathAnswer> answers;
  bool done = false;
};

namespace {

Result<PathFacts> guarded(const StatPath& stat, const std::string& path) {
  try {
    return stat(path);
  } catch (const std::exception& error) {
    return Error(Errc::kIo, error.what());
  }
}

// Threads that hang in the kernel cannot be joined; they are kept reachable until the process ends.
void leave_behind(std::unique_ptr<WorkerPool> thread) {
  static auto* const kept = new std::vector<std::unique_ptr<WorkerPool>>;
  kept->push_back(std::move(thread));
}

}  // namespace

Lane::Lane(StatPath stat) : stat_(std::move(stat)), thread_(std::make_unique<WorkerPool>(1)) {}

Lane::~Lane() {
  if (!box_) return;
  const std::lock_guard lock(box_->mutex);
  box_->loop.reset();
  if (!box_->done) leave_behind(std::move(thread_));
}

void Lane::begin(std::vector<std::string> paths, Now now, const asio::any_io_executor& loop,
                 std::function<void()> done) {
  box_ = std::make_shared<Box>();
  box_->loop = loop;
  begun_ = now;
  thread_->post([box = box_, stat = stat_, paths = std::move(paths), done = std::move(done)]() mutable {
    std::vector<PathAnswer> answers;
    for (const auto& path : paths) answers.push_back(PathAnswer{path, guarded(stat, path)});
    const std::lock_guard lock(box->mutex);
    box->answers = std::move(answers);
    box->done = true;
    if (box->loop) asio::post(*box->loop, std::move(done));
  });
}

bool Lane::pending() const {
  if (!box_) return false;
  const std::lock_guard lock(box_->mutex);
  return !box_->done;
}

std::vector<PathAnswer> Lane::collect() {
  if (!box_ || pending()) return {};
  auto answers = std::move(box_->answers);
  box_.reset();
  return answers;
}

}  // namespace buildwarden::disk
