#include "daemon/policy/crash_loop.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr int kLoop = 5;
constexpr Duration kPatience = std::chrono::seconds{30};
constexpr Duration kCrashWindow = std::chrono::minutes{10};
constexpr int kMostVolumes = 9;  // each one left keeps its bytes

// By SIGINT, SIGKILL and SIGTERM as a shell shows them, and what the engine says of one whose end it did not see.
constexpr std::array<int, 5> kAskedFor = {0, 130, 137, 143, 255};

bool is_crash(int exit_code) { return std::find(kAskedFor.begin(), kAskedFor.end(), exit_code) == kAskedFor.end(); }

void begin_anew(CrashMemory& memory) {
  memory.count = 0;
  memory.first.reset();
}

// Those since the last look.
int new_ends(const CrashMemory& memory, const ObservedContainer& real) {
  int ends = std::max(real.restarts - memory.restarts, 0);
  const bool ended = real.state == ContainerState::kExited && real.ended != memory.ended;
  if (ended && is_crash(real.exit_code)) ++ends;
  return ends;
}

CrashMemory on_volume(CrashMemory memory, int volume) {
  memory.volume = volume;
  memory.newest = std::max(memory.newest, volume);
  begin_anew(memory);
  return memory;
}

std::string story(const DesiredBuilder& desired, const CrashMemory& memory, Now now) {
  return format("{} has ended {} times in {} without answering", container_of(desired.name), memory.count,
                short_duration(now.boot - memory.first.value_or(now.boot)));
}

CrashVerdict go_back(const DesiredBuilder& desired, const CrashMemory& memory, const std::string& what) {
  auto next = on_volume(memory, memory.left);
  next.left = 0;
  next.vain = true;
  return {next, format("{}, on the fresh volume {} too: it goes back to {}, since its cache is not the cause", what,
                       volume_of(desired.name, memory.volume), volume_of(desired.name, memory.left))};
}

CrashVerdict take_fresh(const DesiredBuilder& desired, const CrashMemory& memory, const std::string& what) {
  auto next = on_volume(memory, memory.newest + 1);
  next.left = memory.volume;
  return {next, format("{}: it is made anew on the fresh volume {}; the old one, {}, is kept", what,
                       volume_of(desired.name, next.volume), volume_of(desired.name, memory.volume))};
}

}  // namespace

CrashMemory count_crashes(CrashMemory memory, const ObservedBuilder& observed, Now now) {
  if (!observed.engine_up) {
    begin_anew(memory);
    memory.container.clear();
    return memory;
  }
  const auto& real = observed.real;
  const bool same = memory.container == real.id && !real.id.empty();
  const bool ended = same && (real.restarts != memory.restarts || real.ended != memory.ended);
  int ends = same ? new_ends(memory, real) : 0;
  // Of a run that had answered: buildkitd ends with 1 when it is asked to (SIGTERM), too.
  if (ends > 0 && memory.answered) --ends;
  memory.answered = same && memory.answered && !ended;
  memory.container = real.id;
  memory.restarts = real.restarts;
  memory.ended = real.ended;
  if (observed.answers) {
    memory.answered = true;
    begin_anew(memory);
    memory.left = 0;
    memory.vain = false;
    return memory;
  }
  if (memory.first && now.boot - *memory.first > kCrashWindow) begin_anew(memory);
  if (ends > 0 && !memory.first) memory.first = now.boot;
  memory.count += ends;
  return memory;
}

CrashVerdict judge_crashes(const DesiredBuilder& desired, const ObservedBuilder& observed, const CrashMemory& memory,
                           Now now) {
  if (memory.count == 0 || observed.answers || !observed.real.ours) return {};
  auto what = story(desired, memory, now);
  if (memory.vain) return {std::nullopt, what + ", on a fresh volume too, so its cache is not the cause"};
  const bool loop = memory.count >= kLoop && now.boot - memory.first.value_or(now.boot) >= kPatience;
  if (!loop) return {std::nullopt, std::move(what)};
  if (memory.left != 0) return go_back(desired, memory, what);
  if (memory.newest >= kMostVolumes) {
    return {std::nullopt, format("{}; it had {} volumes already and gets no further one", what, memory.newest)};
  }
  if (!observed.disk_has_room) {
    return {std::nullopt, what + "; a fresh volume has to wait for room on the disk"};
  }
  return take_fresh(desired, memory, what);
}

}  // namespace buildwarden::policy
