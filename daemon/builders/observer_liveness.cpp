// What a builder shows of itself: whether it answers, whether it does anything, which socket folder it serves.
#include <sys/statvfs.h>

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "common/format.h"
#include "daemon/builders/observer.h"

namespace buildwarden::builders {
namespace asio = boost::asio;
namespace {

constexpr Duration kFirstAnswer = std::chrono::seconds{1};   // it is starting: ask often
constexpr Duration kLaterAnswer = std::chrono::seconds{10};  // it may be busy
constexpr int kSilentIsLost = 3;
constexpr Duration kLookPatience = std::chrono::seconds{5};

// Below it a fresh volume would only make a full disk fuller.
constexpr std::uint64_t kRoomForVolume = std::uint64_t{512} * 1024 * 1024;
constexpr std::uint64_t kInodesForVolume = 10'000;

Result<bool> has_room_at(const std::string& folder) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) return Error::from_errno(errno, folder);
  const bool inodes = info.f_files == 0 || info.f_favail >= kInodesForVolume;
  return inodes && static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize >= kRoomForVolume;
}

struct Seen {
  std::string id;
  int pid = 0;
};

// The ids of those whose folder is not the host's; one that cannot be looked at counts as right.
Result<std::set<std::string>> stale_mounts_of(const std::vector<Seen>& containers, const std::string& folder) {
  std::set<std::string> stale_mounts;
  for (const auto& one : containers) {
    const auto other = sees_other_folder(one.pid, std::string(kSocketFolderInside), folder);
    if (other && *other) stale_mounts.insert(one.id);
  }
  return stale_mounts;
}

// What one process did between two looks; nothing where they are of two, or not known.
std::optional<policy::Work> work_between(const std::optional<Activity>& before, const std::optional<Activity>& after,
                                         Duration time) {
  if (!before || !after || before->process != after->process) return std::nullopt;
  if (after->cpu_nanoseconds < before->cpu_nanoseconds) return std::nullopt;  // a thread has ended, so it ran
  policy::Work work;
  work.time = time;
  work.cpu = std::chrono::nanoseconds{after->cpu_nanoseconds - before->cpu_nanoseconds};
  work.stopped = after->stopped;
  work.waits_for_disk = after->waits_for_disk;
  return work;
}

std::vector<Seen> running_of(const policy::ObservedBuilder& seen) {
  std::vector<Seen> running;
  const auto add = [&running](const policy::ObservedContainer& one) {
    if (one.ours && one.state == policy::ContainerState::kRunning && one.pid > 0) running.push_back({one.id, one.pid});
  };
  add(seen.real);
  for (const auto& [name, front] : seen.fronts) add(front);
  return running;
}

}  // namespace

asio::awaitable<bool> Observer::has_room() {
  std::function<Result<bool>()> work = [root = ports_.engine.status().identity.root_dir] { return has_room_at(root); };
  const auto room = co_await ports_.files.compute<bool>(std::move(work), kLookPatience);
  co_return room && *room;
}

asio::awaitable<void> Observer::look_at_folders(Builder* builder, Observation* seen) {
  std::function<Result<std::set<std::string>>()> work = [containers = running_of(seen->builder),
                                                         folder = socket_folder(paths_, builder->settings.name)] {
    return stale_mounts_of(containers, folder);
  };
  auto stale_mounts = co_await ports_.files.compute<std::set<std::string>>(std::move(work), kLookPatience);
  builder->stale_mounts = stale_mounts ? *std::move(stale_mounts) : std::set<std::string>{};
  seen->builder.real.other_folder = builder->stale_mounts.contains(seen->builder.real.id);
  for (auto& [name, front] : seen->builder.fronts) front.other_folder = builder->stale_mounts.contains(front.id);
}

// Of the process that listens on the socket. docker-init above it wakes each second, and what a build runs below it
// goes on while it hangs: neither tells anything. Where nobody listens: of the whole container.
asio::awaitable<std::optional<Activity>> Observer::activity(const Builder* builder, int container) {
  const auto listener = builder->probe.listener();
  const pid_t pid = listener.value_or(container);
  if (pid <= 0) co_return std::nullopt;
  const auto reach = listener ? Reach::kProcess : Reach::kDescendants;
  std::function<Result<Activity>()> work = [pid, reach] { return activity_of(pid, reach); };
  auto activity = co_await ports_.files.compute<Activity>(std::move(work), kLookPatience);
  if (!activity) co_return std::nullopt;
  co_return *std::move(activity);
}

// After a question that got no answer: did it do anything meanwhile?
asio::awaitable<void> Observer::note_silence(Builder* builder, int container, BootTime asked) {
  const auto now = co_await activity(builder, container);
  auto& liveness = builder->liveness;
  const auto work = work_between(liveness.activity, now, ports_.clock.now().boot - asked);
  const bool idle = work && policy::does_next_to_nothing(*work);
  if (liveness.silent++ == 0) liveness.silent_since = asked;
  if (idle && liveness.idle == 0) liveness.idle_since = asked;
  liveness.idle = idle ? liveness.idle + 1 : 0;
  liveness.activity = now;
}

void Observer::show(const Builder& builder, Observation* seen) const {
  const auto& liveness = builder.liveness;
  const auto now = ports_.clock.now().boot;
  seen->builder.answers = liveness.answered && liveness.silent < kSilentIsLost;
  seen->builder.answered_before = liveness.answered;
  auto& unresponsive = seen->builder.unresponsive;
  unresponsive.questions = liveness.silent;
  unresponsive.lasts = liveness.silent > 0 ? now - liveness.silent_since : Duration{0};
  unresponsive.idle_questions = liveness.idle;
  unresponsive.idle = liveness.idle > 0 ? now - liveness.idle_since : Duration{0};
}

asio::awaitable<bool> Observer::ask(Builder* builder, Observation* seen) {
  if (builder->memory.crash.count > 0) seen->builder.disk_has_room = co_await has_room();
  const auto pid = seen->builder.real.pid;
  co_await look_at_folders(builder, seen);
  if (seen->builder.real.state != policy::ContainerState::kRunning) co_return true;
  auto& liveness = builder->liveness;
  if (liveness.silent == 0) liveness.activity = co_await activity(builder, pid);
  if (builder->woken) co_return false;
  // One that serves another folder than the host's is reached where it does.
  const auto path = seen->builder.real.other_folder ? format("/proc/{}/root{}", pid, kSocketInside)
                                                    : socket_path(paths_, builder->settings.name);
  const auto asked = ports_.clock.now().boot;
  liveness.asked = asked;
  const auto began = std::chrono::steady_clock::now();
  auto answer = co_await builder->probe.ask(path, liveness.answered ? kLaterAnswer : kFirstAnswer);
  if (!answer && answer.error().code() == Errc::kCancelled) co_return false;
  builder->questions.note(answer.ok(), began, ports_.clock.now().wall);
  builder->running_builds.reset();
  if (answer) {
    liveness.answered = true;
    liveness.silent = 0;
    liveness.idle = 0;
    builder->running_builds = *answer;
  } else {
    co_await note_silence(builder, pid, asked);
  }
  seen->builder.running_builds = builder->running_builds.value_or(kUnknownBuilds);
  show(*builder, seen);
  co_return true;
}

}  // namespace buildwarden::builders
