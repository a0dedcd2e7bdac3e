#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

std::string_view mood_of(policy::TerminationState state) {
  switch (state) {
    case policy::TerminationState::kNone: return "quiet";
    case policy::TerminationState::kHeld:
    case policy::TerminationState::kWithdrawing: return "warn";
    default: return "bad";
  }
}

Markup step_item(const policy::TerminationStep& step, Now now) {
  const auto tries = step.tries > 1 ? format(", tried {} times", step.tries) : std::string();
  const auto process = step.pid != 0 ? format(", process {}", step.pid) : std::string();
  return html("<li><p>{} <code>{}</code></p>{}{}{}</li>", when_html(step.at.wall, now), to_string(step.action),
              to_string(step.outcome), tries, process);
}

Markup next_of(const ports::TerminationView& view) {
  if (view.next.empty()) return {};
  const auto left = view.left ? format(" in {}", brief(*view.left)) : std::string();
  return html("<p>Next: {}{}</p>", view.next, left);
}

}  // namespace

Markup page_termination(const PageFacts& facts) {
  const auto& view = facts.termination;
  if (view.state == policy::TerminationState::kNone) {
    return html("<section id=\"termination\" data-part hidden></section>\n");
  }
  Markup steps;
  for (const auto& step : view.steps) steps += step_item(step, facts.now);
  const auto since = view.since ? html(" since {}", when_html(*view.since, facts.now)) : Markup();
  return section_html(
      "termination", "Termination", view.instance,
      html("<div class=\"card ending\"><p>{}{}</p><p>{}</p>{}<ol class=\"log\">{}</ol></div>",
           pill_html(to_string(view.state), mood_of(view.state)), since, view.reason, next_of(view), steps));
}

}  // namespace buildwarden::api
