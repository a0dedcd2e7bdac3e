// Who has the checkouts, and whether they may go.
#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

constexpr std::size_t kMostAgentRows = 10;

std::vector<ports::DiskUser> checkouts_of(const ports::DiskView& view) {
  std::vector<ports::DiskUser> all;
  for (const auto& disk : view.filesystems) {
    for (const auto& user : disk.users) {
      if (user.kind == "checkouts") all.push_back(user);
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& one, const auto& other) {
    return std::tie(other.bytes, one.name) < std::tie(one.bytes, other.name);
  });
  return all;
}

// How many of that agent's the last plan has among what would go; nothing where there is no plan.
Markup planned_html(const std::string& agent, const std::optional<DiskPlan>& plan) {
  if (!plan) return html("<span class=\"quiet\">not planned yet</span>");
  const auto begin = format("checkout {}/", agent);
  const auto number = std::count_if(plan->steps.begin(), plan->steps.end(), [&begin](const ports::SpaceStep& step) {
    return step.rung == "checkouts" && step.what.starts_with(begin);
  });
  return number == 0 ? html("<span class=\"quiet\">none</span>") : html("{}", number);
}

Markup agent_row(const ports::DiskUser& user, const PageFacts& facts) {
  auto cells = html("<th role=\"rowheader\" scope=\"row\">{}</th>", name_html(user.name));
  cells += cell_html("Size", size_html(user.bytes));
  cells += cell_html("Looked at", user.looked_at == WallTime{} ? html("<span class=\"quiet\">unknown</span>")
                                                               : when_html(user.looked_at, facts.now));
  if (facts.disk.purges_checkouts) cells += cell_html("Would go", planned_html(user.name, facts.plan));
  return html("<tr role=\"row\" data-checkouts=\"{}\">{}</tr>", user.name, cells);
}

Markup agents_table(const Markup& rows, bool purges) {
  if (!purges) return table_html("card", {"Agent", "Size", "Looked at"}, rows);
  return table_html("card", {"Agent", "Size", "Looked at", "Would go"}, rows);
}

}  // namespace

Markup page_checkouts(const PageFacts& facts) {
  const bool purges = facts.disk.purges_checkouts;
  const auto all = checkouts_of(facts.disk);
  if (all.empty() && !purges) return html("<section id=\"checkouts\" data-part hidden></section>\n");
  const auto* hint = purges ? "those that no job uses go at critical, after all else (on_full.purge_builds)"
                            : "they stay: on_full.purge_builds is off";
  Markup rows;
  const auto shown = std::min(all.size(), kMostAgentRows);
  for (std::size_t i = 0; i < shown; ++i) rows += agent_row(all[i], facts);
  const auto none = html("<p class=\"quiet\">How large they are is looked up while their disk is short.</p>");
  auto body = rows.empty() ? none : agents_table(rows, purges);
  if (all.size() > shown) body += html("<p class=\"quiet\">and {} smaller ones</p>", all.size() - shown);
  return section_html("checkouts", "Checkouts", hint, body);
}

}  // namespace buildwarden::api
