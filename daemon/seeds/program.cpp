#include "daemon/seeds/program.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mutex>

#include "common/atomic_file.h"
#include "common/begin_thread.h"
#include "common/unique_fd.h"
#include "daemon/seeds/tasks.h"

namespace buildwarden::seeds {
namespace {

constexpr auto kBetweenLines = std::chrono::milliseconds{250};

void put(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto written = ::write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    at += static_cast<std::size_t>(written);
  }
}

// Whoever ordered it was killed, or gave it up: systemd-run's unit would go on otherwise. The CLI's processes end with
// the threads that started them (PR_SET_PDEATHSIG).
void end_with_reader() {
  pollfd output{STDOUT_FILENO, 0, 0};
  while (::poll(&output, 1, -1) < 0 && errno == EINTR) continue;
  if ((output.revents & POLLERR) != 0) ::_exit(EXIT_FAILURE);
}

// Jobs on other builders come first: the lowest priority of both processor and disk (ioprio_set(2), class idle).
void stand_back() {
  constexpr int kOfProcess = 1;
  constexpr int kIdleClass = 3 << 13;
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, 19));
  static_cast<void>(::syscall(SYS_ioprio_set, kOfProcess, 0, kIdleClass));
}

class Lines {
 public:
  void tell(const Advance& advance) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kBetweenLines) return;
    last_ = now;
    put(encode_advance(advance));
  }

 private:
  std::mutex mutex_;
  std::chrono::steady_clock::time_point last_;
};

Result<Answer> carry_out(const Order& order, const Told& told) {
  if (order.task == Task::kMeasure) return measure_volume(order);
  if (order.task == Task::kClean) return clean(order);
  auto place = order.place;
  place.is_patient = order.task == Task::kRestore || order.task == Task::kSave;
  auto store = open_store(place, writes_location(order.task));
  if (!store) return std::move(store).error();
  switch (order.task) {
    case Task::kSave: return save(order, **store, told);
    case Task::kPublish: return publish(order, **store);
    case Task::kDiscard: return discard(order, **store);
    case Task::kRestore: return restore(order, **store, told);
    default: return look(**store);
  }
}

Result<Answer> obey() {
  auto watch = begin_thread(end_with_reader);
  if (!watch) return std::move(watch).error();
  watch->detach();
  const auto text = read_all(STDIN_FILENO, "the order", kLongestOrder);
  if (!text) return text.error();
  const auto order = decode_order(*text);
  if (!order) return order.error();
  if (order->task == Task::kSave) stand_back();
  Lines lines;
  const Told told = [&lines](const Advance& advance) { lines.tell(advance); };
  return carry_out(*order, told);
}

}  // namespace

int work() {
  // A program that fails closes the pipe that it reads: its own words tell more than the end of this process.
  ::signal(SIGPIPE, SIG_IGN);
  const auto answer = obey();
  put(encode_answer(answer) + "\n");
  return answer ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace buildwarden::seeds
