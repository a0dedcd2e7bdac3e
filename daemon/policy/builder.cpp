#include "daemon/policy/builder.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "common/format.h"
#include "daemon/policy/crash_loop.h"
#include "daemon/policy/fronts.h"
#include "daemon/policy/real_container.h"

namespace buildwarden::policy {

namespace {

constexpr Duration kSoon = std::chrono::milliseconds{250};
constexpr Duration kPending = std::chrono::seconds{5};
constexpr Duration kFirstBackOff = std::chrono::seconds{1};
constexpr Duration kLongestBackOff = std::chrono::seconds{60};
constexpr Duration kPaceOfRounds = std::chrono::seconds{15};
constexpr int kRoundsAtOnce = 8;

bool is_warm(const ObservedBuilder& observed, bool refused) {
  return observed.engine_up && !refused && observed.real.state == ContainerState::kRunning && observed.answers &&
         !observed.real.other_folder;
}

void note_engine(BuilderMemory& memory, const std::string& engine, Now now) {
  if (memory.engine == engine) return;
  memory.engine = engine;
  memory.engine_since = now.boot;
}

void note_warmth(BuilderMemory& memory, bool warm, Now now) {
  if (warm) {
    memory.was_warm = true;
    memory.lost_at.reset();
  } else if (memory.was_warm && !memory.lost_at) {
    memory.lost_at = now.boot;
  }
}

void say(BuilderPlan& plan, BuilderState state, std::string_view rule, std::string reason) {
  plan.state = state;
  plan.rule = rule;
  plan.reason = std::move(reason);
}

// The image first, where a container has to be created and it is not there.
void join_steps(BuilderPlan& plan, RealSteps& real, FrontSteps& fronts, const DesiredBuilder& desired,
                bool image_present) {
  if ((real.needs_image || fronts.needs_image) && !image_present)
    plan.steps.push_back({BuilderAction::kProvideImage, container_of(desired.name),
                          format("the image of builder {} is not on this host", desired.name), "image_missing"});
  std::move(real.steps.begin(), real.steps.end(), std::back_inserter(plan.steps));
  std::move(fronts.steps.begin(), fronts.steps.end(), std::back_inserter(plan.steps));
}

std::string why_not_warm(const std::string& name, const ObservedBuilder& observed) {
  const auto& unresponsive = observed.unresponsive;
  if (observed.real.state == ContainerState::kRestarting) return format("{} is restarted by the engine", name);
  if (observed.real.other_folder) return format("{} serves a socket folder that is not the host's any more", name);
  if (!observed.answered_before) return format("{} runs and does not answer yet", name);
  return format("{} runs, but has not answered for {}", name, short_duration(unresponsive.lasts));
}

void say_state(BuilderPlan& plan, const std::string& name, const ObservedBuilder& observed, bool warm) {
  const auto& unresponsive = observed.unresponsive;
  if (warm && unresponsive.questions > 0) {
    return say(plan, BuilderState::kWarm, "silent",
               format("{} runs; it has not answered for {}", name, short_duration(unresponsive.lasts)));
  }
  if (warm) return say(plan, BuilderState::kWarm, "warm", format("{} runs and answers", name));
  const bool lost = plan.memory.lost_at.has_value();
  const auto state = lost ? BuilderState::kHealing : BuilderState::kStarting;
  const std::string_view rule = lost ? "healing" : "starting";
  say(plan, state, rule, plan.steps.empty() ? why_not_warm(name, observed) : plan.steps.front().reason);
}

// An engine that has just shown itself may be replaced at once, as while a machine boots: another data root.
void let_engine_settle(BuilderPlan& plan, Duration settles, bool warm, Now now) {
  const auto known = now.boot - plan.memory.engine_since;
  if (plan.steps.empty() || known >= settles) return;
  auto reason = format("the engine is known for {} and left alone for the first {}", short_duration(known),
                       short_duration(settles));
  plan.again = settles - known;
  if (warm) {
    plan.reason += "; " + reason;
  } else {
    const bool lost = plan.memory.lost_at.has_value();
    say(plan, lost ? BuilderState::kHealing : BuilderState::kStarting, "engine_new",
        format("{}: {}", plan.steps.front().reason, reason));
  }
  plan.steps.clear();
}

// Takes the steps back while the last ones are to be given time.
void hold_back(BuilderPlan& plan, bool warm, Now now) {
  const auto& memory = plan.memory;
  if (plan.steps.empty() || !memory.not_before || *memory.not_before <= now.boot) return;
  const auto left = *memory.not_before - now.boot;
  auto reason =
      memory.failures > 0
          ? format("after {} failed attempts in a row the next is in {}", memory.failures, short_duration(left))
          : format("healed too often to last, so the next attempt is in {}", short_duration(left));
  plan.again = left;
  if (warm) {
    plan.reason += format("; a front has to wait: {}", reason);
  } else {
    say(plan, BuilderState::kDown, "backing_off", format("{}: {}", plan.steps.front().reason, reason));
  }
  plan.steps.clear();
}

void plan_steps(BuilderPlan& plan, const DesiredBuilder& desired, const ObservedBuilder& observed, RealSteps real,
                bool warm) {
  auto fronts = heal_fronts(desired, observed);
  join_steps(plan, real, fronts, desired, observed.image_present);
  say_state(plan, container_of(desired.name), observed, warm);
  if (real.waits) say(plan, BuilderState::kStarting, "seed", desired.awaits);
  for (const auto& note : fronts.notes) plan.reason += "; " + note;
  plan.not_recreated = std::move(real.not_recreated);
  plan.crashes_then = std::move(real.crashes);
  if (!real.note.empty()) {
    plan.reason += "; " + real.note;
    plan.again = kPending;
  }
  if (!warm || !plan.steps.empty()) plan.again = kSoon;
  if (warm && plan.steps.empty()) {
    plan.memory.failures = 0;
    plan.memory.not_before.reset();
  }
}

}  // namespace

BuilderPlan reconcile(const DesiredBuilder& desired, const ObservedBuilder& observed, BuilderMemory memory, Now now) {
  BuilderPlan plan;
  memory.crash = count_crashes(std::move(memory.crash), observed, now);
  if (observed.engine_up) note_engine(memory, observed.engine, now);
  auto real = observed.engine_up ? heal_real(desired, observed, memory, now) : RealSteps{};
  const bool warm = is_warm(observed, real.refused);
  note_warmth(memory, warm, now);
  plan.memory = std::move(memory);
  if (!observed.engine_up) {
    say(plan, BuilderState::kDown, "engine_down", "the engine does not answer");
    return plan;
  }
  if (real.refused) {
    say(plan, BuilderState::kDown, "foreign", real.note);
    plan.not_recreated = real.note;
    return plan;
  }
  plan_steps(plan, desired, observed, std::move(real), warm);
  let_engine_settle(plan, desired.engine_settles, warm, now);
  hold_back(plan, warm, now);
  if (plan.steps.empty()) plan.crashes_then.reset();
  return plan;
}

BuilderMemory after_steps(BuilderMemory memory, bool failed, Now now) {
  if (failed) {
    const int doublings = std::min(memory.failures, 6);
    ++memory.failures;
    memory.not_before = now.boot + std::min(kFirstBackOff * (1 << doublings), kLongestBackOff);
    return memory;
  }
  memory.failures = 0;
  memory.not_before.reset();
  memory.paid_until = std::max(memory.paid_until.value_or(now.boot), now.boot) + kPaceOfRounds;
  const auto next = *memory.paid_until - kPaceOfRounds * kRoundsAtOnce;
  if (next > now.boot) memory.not_before = next;
  return memory;
}

std::string container_of(std::string_view builder) { return format("buildwarden_{}", builder); }

std::string volume_of(std::string_view builder, int number) {
  return number <= 1 ? container_of(builder) : format("{}_{}", container_of(builder), number);
}

std::string_view to_string(BuilderState state) {
  switch (state) {
    case BuilderState::kWarm: return "warm";
    case BuilderState::kStarting: return "starting";
    case BuilderState::kHealing: return "healing";
    case BuilderState::kDown: return "down";
    case BuilderState::kOff: return "off";
  }
  return "down";
}

std::string_view to_string(BuilderAction action) {
  switch (action) {
    case BuilderAction::kProvideImage: return "provide_image";
    case BuilderAction::kCreate: return "create";
    case BuilderAction::kStart: return "start";
    case BuilderAction::kUnpause: return "unpause";
    case BuilderAction::kRestart: return "restart";
    case BuilderAction::kRemove: return "remove";
    case BuilderAction::kCreateFront: return "create_front";
    case BuilderAction::kStartFront: return "start_front";
    case BuilderAction::kUnpauseFront: return "unpause_front";
    case BuilderAction::kRemoveFront: return "remove_front";
  }
  return "unknown";
}

}  // namespace buildwarden::policy
