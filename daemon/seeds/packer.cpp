#include "daemon/seeds/packer.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "common/begin_thread.h"
#include "common/format.h"
#include "daemon/seeds/part_writer.h"
#include "daemon/seeds/tree_walk.h"

namespace buildwarden::seeds {
namespace {

// Names that wait for one thread. Bounded: a volume may have a million files.
constexpr std::size_t kMostWaiting = 1'000;
// Each change is told; a condition_variable without a bound needs a younger libstdc++ than some hosts have
// (tests/rules/symbols).
constexpr std::chrono::milliseconds kLook{100};

// From the walk to one writer. Whoever waits in it is let go by end() and by a failure elsewhere.
class Queue {
 public:
  // false: nobody takes anything any more.
  bool put(Found found) {
    std::unique_lock lock(mutex_);
    while (waiting_.size() >= kMostWaiting && !ended_) changed_.wait_for(lock, kLook);
    if (ended_) return false;
    waiting_.push_back(std::move(found));
    changed_.notify_all();
    return true;
  }
  std::optional<Found> take() {
    std::unique_lock lock(mutex_);
    while (waiting_.empty() && !ended_) changed_.wait_for(lock, kLook);
    if (waiting_.empty()) return std::nullopt;
    auto found = std::move(waiting_.front());
    waiting_.pop_front();
    changed_.notify_all();
    return found;
  }
  // No more comes; `drop`: nor is the rest of use.
  void end(bool drop) {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    if (drop) waiting_.clear();
    changed_.notify_all();
  }
  std::size_t length() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Found> waiting_;
  bool ended_ = false;
};

class Packing {
 public:
  Packing(int folder, const std::vector<int>& parts, const PackOptions& options) : folder_(folder), options_(options) {
    const auto counted = [this](Bytes more) { return count(more); };
    for (const int file : parts) {
      threads_.push_back(std::make_unique<PartThread>(folder, file, counted, options.most_names));
      threads_.back()->at = threads_.size() - 1;
    }
  }

  Result<Packed> run() {
    auto done = begin_threads();
    if (done) done = walk(folder_, [this](Found found) { return hand_on(std::move(found)); });
    if (!done) fail(done.error());
    for (auto& part : threads_) part->queue.end(false);
    for (auto& part : threads_) {
      if (part->thread.joinable()) part->thread.join();
    }
    if (failure_) return *failure_;
    Packed packed;
    packed.bytes = bytes_;
    packed.entries = entries_;
    for (auto& part : threads_) packed.parts.push_back(std::move(part->written));
    return packed;
  }

 private:
  struct PartThread {
    PartThread(int folder, int to, std::function<Result<void>(Bytes)> counted, std::size_t most_names)
        : writer(folder, to, std::move(counted), most_names) {}
    PartWriter writer;
    Queue queue;
    PartWritten written;
    std::thread thread;
    std::size_t at = 0;
  };

  Result<void> begin_threads() {
    for (auto& part : threads_) {
      auto begun = begin_thread([this, one = part.get()] { write(*one); });
      if (!begun) return std::move(begun).error();
      part->thread = *std::move(begun);
    }
    return {};
  }

  // All names of a file are written by one thread, the others by the one that has least to do.
  std::size_t thread_for(const Found& found) {
    if (S_ISDIR(found.info.st_mode)) return 0;
    const auto files = threads_.size() - 1;
    if (S_ISREG(found.info.st_mode) && found.info.st_nlink > 1) return 1 + found.info.st_ino % files;
    std::size_t least = 1;
    std::size_t length = threads_[1]->queue.length();
    for (std::size_t at = 2; at <= files && length > 0; ++at) {
      const auto other = threads_[at]->queue.length();
      if (other < length) least = at;
      length = std::min(length, other);
    }
    return least;
  }

  Result<void> hand_on(Found found) {
    if (++entries_ > options_.most_entries) {
      return Error(Errc::kTooLarge, format("there are more than {} files and folders", options_.most_entries));
    }
    auto& part = *threads_[thread_for(found)];
    if (part.queue.put(std::move(found))) return {};
    return Error(Errc::kCancelled, "another part has failed");
  }

  void write(PartThread& part) {
    auto done = part.writer.open();
    while (done) {
      const auto found = part.queue.take();
      if (!found) break;
      done = part.writer.add(*found);
    }
    if (!done) return fail_in(part, done.error());
    auto closed = part.writer.close();
    if (!closed) return fail_in(part, closed.error());
    part.written = *std::move(closed);
  }

  Result<void> count(Bytes more) {
    const auto now = bytes_ += more;
    if (std::chrono::steady_clock::now() >= options_.until) {
      return Error(Errc::kTimeout, "it takes longer than a save may");
    }
    if (now > options_.most) {
      return Error(Errc::kTooLarge, format("there is more than {}", format_bytes(options_.most)));
    }
    if (options_.told) options_.told(now);
    return {};
  }

  void fail_in(const PartThread& part, const Error& error) {
    fail(part.writer.is_closed() && options_.why_closed ? options_.why_closed(part.at) : error);
  }

  // The first counts; the others follow from it.
  void fail(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = error;
    }
    for (auto& part : threads_) part->queue.end(true);
  }

  int folder_;
  const PackOptions& options_;
  std::vector<std::unique_ptr<PartThread>> threads_;
  std::atomic<Bytes> bytes_{0};
  std::int64_t entries_ = 0;
  std::mutex mutex_;
  std::optional<Error> failure_;
};

}  // namespace

Result<Packed> pack(int folder, const std::vector<int>& parts, const PackOptions& options) {
  if (parts.size() < 2) return Error(Errc::kInvalid, "a seed has two parts or more");
  return Packing(folder, parts, options).run();
}

Result<Measured> measure(int folder) {
  Measured all;
  auto walked = walk(folder, [&all](const Found& found) -> Result<void> {
    ++all.entries;
    if (S_ISREG(found.info.st_mode)) all.bytes += content_of(found.info) / static_cast<Bytes>(found.info.st_nlink);
    return {};
  });
  if (!walked) return std::move(walked).error();
  return all;
}

}  // namespace buildwarden::seeds
