// What goes next, by the last plan.
#include <algorithm>
#include <utility>

#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

constexpr std::size_t kShown = 6;

std::string rung_in_words(std::string rung) {
  for (auto& one : rung) {
    if (one == '_') one = ' ';
  }
  return rung;
}

Markup step_row(const ports::SpaceStep& step, Now now) {
  const auto unknown = html("<span class=\"quiet\">unknown</span>");
  auto cells = html("<th role=\"rowheader\" scope=\"row\">{}</th>", name_html(step.what));
  cells += cell_html("Kind", html("{}", rung_in_words(step.rung)));
  cells += cell_html("Gives back", step.is_unsized ? unknown : size_html(step.reported));
  cells += cell_html("Last used", step.last_used == WallTime{} ? unknown : when_html(step.last_used, now));
  cells += cell_html("Why", html("{}", step.value && !step.value->why.empty() ? step.value->why : step.rule));
  return html("<tr role=\"row\" data-next=\"{}\">{}</tr>", step.what, cells);
}

}  // namespace

Markup page_next(const PageFacts& facts) {
  constexpr std::string_view kHeading = "Goes next";
  if (!facts.plan) {
    return section_html("next", kHeading, "when space is needed",
                        html("<p class=\"quiet\">The plan is being made; it will be here in a moment.</p>"));
  }
  const auto& plan = *facts.plan;
  const auto since = facts.now.wall - plan.at;
  const auto hint = format("when space is needed, as planned {} ago{}", brief(since),
                           plan.complete ? "" : "; not all could be asked");
  Markup rows;
  for (std::size_t i = 0; i < plan.steps.size() && i < kShown; ++i) rows += step_row(plan.steps[i], facts.now);
  if (rows.empty()) return section_html("next", kHeading, hint, html("<p class=\"quiet\">Nothing may go.</p>"));
  const auto left = plan.steps.size() + plan.left_off - std::min(plan.steps.size(), kShown);
  const auto more = left == 0 ? Markup()
                              : html(
                                    "<p class=\"quiet\">and {} more, all with their reasons: "
                                    "<a href=\"/v1/disk/plan\">/v1/disk/plan</a></p>",
                                    left);
  auto body = table_html("card", {"What", "Kind", "Gives back", "Last used", "Why"}, rows);
  body += more;
  return section_html("next", kHeading, hint, body);
}

}  // namespace buildwarden::api
