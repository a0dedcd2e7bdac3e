#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

constexpr std::size_t kMostPipelineRows = 10;

// Of all kinds together.
struct SavingsSum {
  ports::SavingsOfKind::Sums saved;
  ports::SavingsOfKind::Sums regretted;
};

SavingsSum sum_of(const std::vector<ports::SavingsOfKind>& kinds) {
  SavingsSum sum;
  for (const auto& one : kinds) {
    sum.saved.total += one.saved.total;
    sum.saved.today += one.saved.today;
    sum.regretted.total += one.regretted.total;
    sum.regretted.today += one.regretted.today;
  }
  return sum;
}

Markup seconds_html(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  return html("<data value=\"{:.3f}\">{}</data>", seconds, brief(std::chrono::seconds{whole}));
}

// What is estimated is called so.
Markup savings_html(const policy::Amount& amount) {
  auto all = seconds_html(amount.seconds);
  if (amount.estimated_seconds >= 1) {
    all += html(" <small>{} of it estimated</small>", seconds_html(amount.estimated_seconds));
  }
  return all;
}

Markup savings_row(const Markup& name, const SavingsSum& sum) {
  auto cells = html("<th role=\"rowheader\" scope=\"row\">{}</th>", name);
  cells += cell_html("Today", savings_html(sum.saved.today));
  cells += cell_html("Not sent again", size_html(sum.saved.today.bytes));
  cells += cell_html("Regretted today", savings_html(sum.regretted.today));
  cells += cell_html("In all", savings_html(sum.saved.total));
  cells += cell_html("Regretted in all", savings_html(sum.regretted.total));
  return html("<tr role=\"row\">{}</tr>", cells);
}

}  // namespace

Markup page_savings(const PageFacts& facts) {
  if (!facts.savings.host) return html("<section id=\"savings\" data-part hidden></section>\n");
  const auto host = sum_of(*facts.savings.host);
  auto rows = savings_row(html("This host"), host);
  std::vector<std::pair<std::string, SavingsSum>> pipelines;
  for (const auto& [pipeline, kinds] : facts.savings.pipelines) pipelines.emplace_back(pipeline, sum_of(kinds));
  std::sort(pipelines.begin(), pipelines.end(), [](const auto& one, const auto& other) {
    return std::pair(-one.second.saved.today.seconds, one.first) <
           std::pair(-other.second.saved.today.seconds, other.first);
  });
  if (pipelines.size() > kMostPipelineRows) pipelines.resize(kMostPipelineRows);
  for (const auto& [pipeline, sum] : pipelines) rows += savings_row(name_html(pipeline), sum);
  const auto hint = format("today: {} of builds and pulls not waited for",
                           brief(std::chrono::seconds{static_cast<std::int64_t>(host.saved.today.seconds)}));
  const auto table =
      table_html("card", {"Of", "Today", "Not sent again", "Regretted today", "In all", "Regretted in all"}, rows);
  return section_html("savings", "Saved", hint, table);
}

}  // namespace buildwarden::api
