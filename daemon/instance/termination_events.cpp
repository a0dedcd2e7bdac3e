// What others are told of it.
#include <algorithm>
#include <utility>

#include "common/format.h"
#include "daemon/instance/termination.h"
#include "daemon/policy/backoff.h"

namespace buildwarden::instance {
namespace {

using policy::TerminationAction;
using policy::TerminationOutcome;
using policy::TerminationState;

ports::Severity severity_of(TerminationState state) {
  switch (state) {
    case TerminationState::kNone:
    case TerminationState::kWithdrawing: return ports::Severity::kInfo;
    case TerminationState::kFailed: return ports::Severity::kError;
    default: return ports::Severity::kWarning;
  }
}

std::string text_of(const policy::TerminationNews& news) {
  return format("{}: {}{}{}", to_string(news.action), to_string(news.outcome), news.text.empty() ? "" : ", ",
                news.text);
}

}  // namespace

void Termination::record(std::string kind, ports::Severity severity, std::string reason, std::string rule) {
  ports::Event event;
  event.kind = std::move(kind);
  event.severity = severity;
  event.reason = std::move(reason);
  event.rule = std::move(rule);
  event.fields.emplace_back("state", std::string(to_string(view_.state)));
  event.fields.emplace_back("mount", view_.mount);
  event.fields.emplace_back("instance", view_.instance);
  parts_.journal.record(std::move(event));
}

void Termination::show(const policy::TerminationPlan& plan) {
  const auto now = parts_.clock.now();
  if (view_.state != plan.state || !view_.since) view_.since = now.wall;
  view_.state = plan.state;
  view_.reason = plan.reason;
  view_.rule = plan.rule;
  view_.next = plan.next;
  due_ = plan.due;
  const auto& memory = plan.memory;
  view_.instance = memory.intent ? memory.intent->instance : identity_ ? identity_->id : "";
  view_.mount = memory.intent ? memory.intent->mount : "";
  if (!memory.intent && !memory.wanted_by.empty()) {
    for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
      if (filesystem.device == memory.wanted_by) view_.mount = filesystem.mount;
    }
  }
  view_.steps = memory.intent ? memory.intent->steps : std::vector<policy::TerminationStep>{};
  record_state(plan);
}

// At rest it is nobody's news why. A call that is made again and again is told by its steps.
void Termination::record_state(const policy::TerminationPlan& plan) {
  const auto before = std::exchange(told_state_, {plan.state, plan.rule});
  if (before == told_state_) return;
  const bool at_rest = plan.state == TerminationState::kNone && (plan.rule == "none" || plan.rule == "not_wanted");
  const bool passes = plan.action != TerminationAction::kRest || plan.rule == told_trouble_;
  if (at_rest || (passes && before.first == plan.state)) return;
  if (plan.action == TerminationAction::kRest) told_trouble_ = plan.rule;
  const bool would = plan.rule == "dry_run" && !plan.memory.intent;
  record(would ? "instance.would" : "instance.state", severity_of(plan.state), plan.reason, plan.rule);
}

// Some of the tries alone that go on for hours.
void Termination::record_step(const policy::TerminationNews& news) {
  const bool calls = news.action == TerminationAction::kTerminate || news.action == TerminationAction::kSetHealth;
  const auto tries = calls && memory_.intent ? memory_.intent->steps.back().tries : memory_.failures + 1;
  const bool failed = news.outcome != TerminationOutcome::kDone;
  const auto before = std::exchange(told_outcome_, {news.action, news.outcome});
  if (failed && before == told_outcome_ && !policy::is_told(tries)) return;
  const bool looks = news.action == TerminationAction::kDescribe || news.action == TerminationAction::kIdentify ||
                     news.action == TerminationAction::kRest;
  if (looks && !failed) return;
  record("instance.step", failed ? ports::Severity::kWarning : ports::Severity::kInfo, text_of(news),
         std::string(to_string(news.action)));
}

ports::TerminationView Termination::termination_view() const {
  auto view = view_;
  if (due_) view.left = std::max(*due_ - parts_.clock.now().boot, Duration{0});
  if (!not_saved_.empty()) view.reason += format("; the next step cannot be recorded: {}", not_saved_);
  return view;
}

ports::LastResortView Termination::would(const std::string& device) {
  if (memory_.intent)
    return {format("a termination is under way ({}): {}", to_string(view_.state), view_.reason), view_.rule};
  const auto plan = policy::foresee_termination(facts_at_hand(), device, parts_.times, parts_.clock.now());
  return {format("new jobs would be refused; {}", plan.reason), plan.rule};
}

std::string Termination::refusal() const {
  if (!policy::refuses_jobs(view_.state)) return "";
  return format("this instance is about to be terminated ({}): {}", to_string(view_.state), view_.reason);
}

std::vector<ports::NotReady> Termination::not_ready() const {
  const auto why = refusal();
  if (why.empty()) return {};
  return {{"instance", why}};
}

}  // namespace buildwarden::instance
