#include "daemon/builders/builder_events.h"

#include <algorithm>

#include "common/format.h"
#include "common/text_list.h"

namespace buildwarden::builders {
namespace {

using policy::BuilderState;

void record_state(Builder& builder, const std::string& rule, ports::Journal& journal) {
  const auto before = std::exchange(builder.told, builder.state);
  const bool down = builder.state == BuilderState::kDown;
  journal.record({.kind = "builder.state",
                  .severity = down ? ports::Severity::kWarning : ports::Severity::kInfo,
                  .reason = format("builder {} is {}: {}", builder.settings.name, policy::to_string(builder.state),
                                   builder.reason),
                  .rule = rule,
                  .fields = {{"builder", builder.settings.name},
                             {"from", std::string(policy::to_string(before))},
                             {"to", std::string(policy::to_string(builder.state))}}});
}

void record_heal(Builder& builder, Now now, ports::Journal& journal) {
  const auto outage = *std::exchange(builder.outage, std::nullopt);
  const auto gone = std::max(now.boot - outage.since, Duration{0});
  const auto acted = std::max(outage.acted - outage.since, Duration{0});
  auto& heals = builder.heals;
  ++heals.count;
  ++heals.by_rule[outage.rule];
  heals.last_at = now.wall;
  heals.last_reason = outage.reason;
  builder.told = builder.state;
  auto reason =
      format("builder {} was healed after {}: {}", builder.settings.name, short_duration(gone), outage.reason);
  const auto done = join(outage.done, ", ");
  if (!done.empty())
    reason += format("; {}, in {}", done, short_duration(std::max(now.boot - outage.acted, Duration{0})));
  journal.record({.kind = "builder.healed",
                  .reason = std::move(reason),
                  .rule = outage.rule,
                  .fields = {{"builder", builder.settings.name},
                             {"done", done},
                             {"acted_seconds", std::chrono::duration<double>(acted).count()},
                             {"gone_seconds", std::chrono::duration<double>(gone).count()}}});
}

// Whether the end of the outage will tell of it.
bool is_quiet(const Builder& builder, const policy::BuilderPlan& plan, Now now) {
  if (!builder.ever_warm || builder.state == BuilderState::kDown || builder.told == BuilderState::kDown) return false;
  if (!builder.outage && !builder.lost_at && plan.steps.empty()) return false;
  const auto since = builder.outage ? builder.outage->since : builder.lost_at.value_or(now.boot);
  return now.boot - since < kQuietHeal;
}

}  // namespace

void note_plan(Builder& builder, const policy::BuilderPlan& plan, Now now, ports::Journal& journal) {
  builder.state = plan.state;
  builder.reason = plan.reason;
  // Warm while a front's back-off runs: the outage is not over.
  const bool backing_off = plan.memory.not_before && *plan.memory.not_before > now.boot;
  const bool is_whole = plan.state == BuilderState::kWarm && plan.steps.empty() && !backing_off;
  if (is_whole && builder.outage) record_heal(builder, now, journal);
  if (builder.told != builder.state && !is_quiet(builder, plan, now)) record_state(builder, plan.rule, journal);
  if (!is_whole) return;
  builder.ever_warm = true;
  builder.lost_at.reset();
}

void note_outage(Builder& builder, const policy::BuilderStep& first, Now now) {
  if (!builder.ever_warm || builder.outage) return;
  auto since = builder.lost_at.value_or(builder.memory.lost_at.value_or(now.boot));
  if (first.rule == "frozen") since = std::min(since, builder.liveness.silent_since);
  builder.outage = Outage{.since = since, .acted = now.boot, .rule = first.rule, .reason = first.reason};
}

void note_engine_restart(Builder& builder, const policy::BuilderMemory& next, Now now) {
  const auto& before = builder.memory.crash;
  const bool restarted = next.crash.container == before.container && next.crash.restarts > before.restarts;
  if (!restarted || !builder.ever_warm || builder.outage) return;
  const auto since = builder.lost_at.value_or(now.boot);
  builder.outage =
      Outage{.since = since,
             .acted = since,
             .rule = "engine_restarted",
             .reason = format("the container {} had ended and the engine restarted it", builder.container)};
}

void note_dry_run(Builder& builder, const std::vector<policy::BuilderStep>& steps, ports::Journal& journal) {
  std::string plan;
  for (const auto& step : steps) {
    plan += format("{}{} {}", plan.empty() ? "" : ", ", policy::to_string(step.action), step.container);
  }
  if (plan == builder.announced) return;
  builder.announced = plan;
  journal.record({.kind = "builder.would",
                  .reason = format("without dry run builder {} would get: {}, since {}", builder.settings.name, plan,
                                   steps.front().reason),
                  .rule = steps.front().rule,
                  .fields = {{"builder", builder.settings.name}}});
}

void note_volume(const Builder& builder, const policy::BuilderStep& first, ports::Journal& journal) {
  const auto& name = builder.settings.name;
  const auto& crash = builder.memory.crash;
  const auto now_on = policy::volume_of(name, crash.volume);
  const auto left = crash.left == 0 ? std::string() : policy::volume_of(name, crash.left);
  auto reason = first.reason;
  if (!left.empty()) {
    reason += format(
        "; `docker volume rm {}` gives its space back once nobody needs it; to go back to it: stop the daemon, write "
        "\"{} {}\" into {}.volume beside the builder's folder below paths.state, `docker rm -f {}`, start the daemon",
        left, crash.left, crash.newest, name, builder.container);
  }
  journal.record({.kind = "builder.fresh_volume",
                  .severity = ports::Severity::kWarning,
                  .reason = std::move(reason),
                  .rule = first.rule,
                  .fields = {{"builder", name}, {"volume", now_on}, {"left", left}}});
}

void note_request(const Builder& builder, const ports::Recreation& request, bool dry_run, ports::Journal& journal) {
  journal.record({.kind = "builder.asked",
                  .reason = format("{} asked for builder {} to be {} anew{}", request.on_behalf_of,
                                   builder.settings.name, dry_run ? "shown how it would be made" : "made",
                                   request.force ? ", also at the cost of builds that run" : ""),
                  .rule = "asked",
                  .fields = {{"builder", builder.settings.name},
                             {"by", request.on_behalf_of},
                             {"force", request.force},
                             {"dry_run", dry_run}}});
}

void note_loss(Builder& builder, Now now) {
  if (builder.ever_warm && !builder.lost_at) builder.lost_at = now.boot;
}

ports::BuilderView view_of(const Builder& builder, std::string endpoint, std::vector<std::string> leases) {
  ports::BuilderView view;
  view.name = builder.settings.name;
  view.state = builder.state;
  view.reason = builder.reason;
  view.container = builder.container;
  view.image = builder.settings.image;
  view.endpoint = std::move(endpoint);
  view.fronts = builder.fronts;
  view.leases = std::move(leases);
  view.heals = builder.heals.count;
  view.heals_by_reason = builder.heals.by_rule;
  view.last_heal_at = builder.heals.last_at;
  view.last_heal_reason = builder.heals.last_reason;
  view.running_builds = builder.running_builds;
  view.questions = builder.questions;
  view.volume = policy::volume_of(view.name, builder.memory.crash.volume);
  return view;
}

}  // namespace buildwarden::builders
