// A builder made anew because somebody asks for it.
#include <chrono>
#include <utility>

#include "common/format.h"
#include "common/loop_timer.h"
#include "daemon/builders/builder_events.h"
#include "daemon/builders/reconciler.h"
#include "daemon/builders/recreate_request.h"

namespace buildwarden::builders {
namespace {

constexpr Duration kRecreatePatience = std::chrono::minutes{1};  // for the steps, and again until it answers
constexpr Duration kRecreatePause = std::chrono::milliseconds{100};

}  // namespace

ports::Async<ports::Recreated> Reconciler::recreate(ports::Recreation request, ports::Progress progress) {
  auto* builder = find(request.builder);
  if (builder == nullptr) co_return Error(Errc::kNotFound, format("no builder \"{}\"", request.builder));
  if (builder->asked)
    co_return Error(Errc::kConflict, format("builder {} is being made anew already", request.builder));
  if (ports_.held && ports_.held(request.builder)) {
    co_return Error(Errc::kConflict, format("builder {} is paused while its seed is saved", request.builder));
  }
  const bool dry_run = request.dry_run || settings_.dry_run;
  const auto how = request.force ? policy::Recreation::kForced : policy::Recreation::kIdle;
  const auto began = ports_.clock.now().boot;
  note_request(*builder, request, dry_run, ports_.journal);
  progress(format("builder {}: looking at who builds on it", request.builder));
  auto steps = co_await ask_for(builder, std::make_shared<RecreateRequest>(how, dry_run));
  if (!steps) co_return std::move(steps).error();
  ports::Recreated made;
  made.dry_run = dry_run;
  made.steps = *std::move(steps);
  made.rule = "asked";
  made.reason = format("builder {} {} anew on its volume, as {} asked", request.builder,
                       dry_run ? "would be made" : "was made", request.on_behalf_of);
  if (dry_run) co_return made;
  progress(format("builder {}: made anew; waiting for it to answer", request.builder));
  auto warm = co_await wait_until_warm(request.builder);
  if (!warm) co_return std::move(warm).error();
  made.took = ports_.clock.now().boot - began;
  co_return made;
}

// What failed before may do now: no back-off keeps somebody waiting who asked.
ports::Async<std::vector<std::string>> Reconciler::ask_for(Builder* builder, std::shared_ptr<RecreateRequest> asked) {
  const auto name = builder->settings.name;
  builder->memory.failures = 0;
  builder->memory.not_before.reset();
  builder->asked = asked;
  wake(*builder);
  co_await asked->answered.wait(kRecreatePatience);
  if (asked->answer) co_return *asked->answer;
  auto* still = find(name);  // it may have been let go of meanwhile
  if (still != nullptr && still->asked == asked) still->asked.reset();
  co_return Error(Errc::kTimeout,
                  format("builder {} could not be made anew within {}: {}", name, short_duration(kRecreatePatience),
                         still == nullptr ? "it is configured no more" : still->reason));
}

ports::Async<void> Reconciler::wait_until_warm(std::string builder) {
  for (Duration waited{0}; waited < kRecreatePatience; waited += kRecreatePause) {
    const auto* found = find(builder);
    if (found == nullptr) co_return Error(Errc::kNotFound, format("builder {} is configured no more", builder));
    const bool answered = found->state == policy::BuilderState::kWarm && found->liveness.answered;
    if (answered && !found->outage) co_return Result<void>{};
    const bool whole = co_await sleep_for(kRecreatePause);
    if (!whole) break;
  }
  co_return Error(Errc::kTimeout, format("builder {} was made anew, but is not warm yet", builder));
}

bool Reconciler::answer_request(Builder& builder, const policy::BuilderPlan& plan, bool asked) {
  if (!builder.asked) return false;
  if (builder.asked->dry_run && makes_anew(builder, plan)) {
    answer(builder, words_of(plan.steps));
    return true;
  }
  if (plan.rule == "engine_down" || plan.rule == "invalid") answer(builder, Error(Errc::kUnavailable, plan.reason));
  const bool known = asked || plan.rule == "foreign";
  if (known && !plan.not_recreated.empty()) answer(builder, Error(Errc::kConflict, plan.not_recreated));
  return false;
}

}  // namespace buildwarden::builders
