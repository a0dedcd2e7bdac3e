#include <array>
#include <cmath>
#include <utility>

#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

struct FieldHtml {
  std::string_view name;
  Markup operator()(std::int64_t value) const {
    return name.ends_with("_bytes") ? size_html(value) : html("{}", value);
  }
  Markup operator()(double value) const { return std::isfinite(value) ? html("{:.3g}", value) : html("unknown"); }
  Markup operator()(bool value) const { return value ? html("yes") : html("no"); }
  Markup operator()(const std::string& value) const { return name_html(value); }
};

std::string_view mood_of(ports::Severity severity) {
  switch (severity) {
    case ports::Severity::kInfo: return "quiet";
    case ports::Severity::kWarning: return "warn";
    case ports::Severity::kError: return "bad";
  }
  return "quiet";
}

Markup fields_of(const ports::Event& event) {
  Markup list;
  for (const auto& [name, value] : event.fields) {
    list += html("<div><dt>{}</dt><dd>{}</dd></div>", name, std::visit(FieldHtml{name}, value));
  }
  return list;
}

// Which of the filter's choices an event belongs to.
std::string_view group_of(std::string_view kind) {
  const auto first = kind.substr(0, kind.find('.'));
  for (const auto one : {"disk", "reclaim", "ballast", "checkout", "deletion"}) {
    if (first == one) return "disk";
  }
  for (const auto one : {"builder", "seed", "prefetch", "emulation"}) {
    if (first == one) return "builders";
  }
  return first == "job" ? "jobs" : "daemon";
}

// Works without a script; the script keeps what was chosen.
Markup event_filter() {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kChoices = {
      {{"all", "all"},
       {"problems", "warnings and errors"},
       {"disk", "disk"},
       {"builders", "builders"},
       {"jobs", "jobs"},
       {"daemon", "daemon"}}};
  Markup choices;
  for (const auto& [id, words] : kChoices) {
    choices += html("<label><input type=\"radio\" name=\"show\" id=\"show-{}\"{}>{}</label>", id,
                    id == "all" ? html(" checked") : Markup(), words);
  }
  return html("<fieldset class=\"filter\"><legend>Show</legend>{}</fieldset>", choices);
}

Markup event_item(const ports::RecordedEvent& recorded, Now now) {
  const auto& event = recorded.event;
  auto numbers = fields_of(event);
  if (!event.rule.empty()) numbers += html("<div><dt>rule</dt><dd>{}</dd></div>", name_html(event.rule));
  return html(
      "<li data-event=\"{}\" data-group=\"{}\" class=\"{}\"><p>{} <code>{}</code> <span>{}</span></p><details "
      "id=\"event-{}\"><summary>"
      "{}</summary><dl>{}</dl></details></li>",
      recorded.id, group_of(event.kind), mood_of(event.severity), when_html(recorded.at, now), event.kind,
      event.severity == ports::Severity::kInfo ? ""
                                               : (event.severity == ports::Severity::kWarning ? "warning" : "error"),
      recorded.id, event.reason, numbers);
}

Markup job_row(const ports::Lease& lease, Now now) {
  const bool timed = lease.pid == 0;
  auto cells = html("<th role=\"rowheader\" scope=\"row\"><code>{}</code></th>", name_html(lease.id));
  cells += cell_html("Pipeline", name_html(lease.pipeline));
  cells += cell_html("Agent", name_html(lease.agent));
  Markup builders;
  for (const auto& one : lease.builders)
    builders += html("{}<code>{}</code>", builders.empty() ? "" : " ", name_html(one));
  cells += cell_html("Builders", builders);
  cells +=
      cell_html("Needs", lease.need_bytes > 0 ? size_html(lease.need_bytes) : html("<span class=\"quiet\">-</span>"));
  cells += cell_html("Started", when_html(lease.started_wall, now));
  cells += cell_html(
      "Ends", timed ? when_html(now.wall + (lease.expires - now.boot), now) : html("with process {}", lease.pid));
  return html("<tr role=\"row\" data-job=\"{}\">{}</tr>", lease.id, cells);
}

std::string_view mood_of(policy::PrefetchState state) {
  switch (state) {
    case policy::PrefetchState::kDone: return "good";
    case policy::PrefetchState::kFailed: return "bad";
    default: return "quiet";
  }
}

}  // namespace

Markup page_jobs(const PageFacts& facts) {
  const auto& view = facts.jobs;
  const auto hint = format("{} admitted, {} refused since the start", view.admitted, view.refused);
  Markup rows;
  for (const auto& lease : view.leases) rows += job_row(lease, facts.now);
  if (rows.empty()) return section_html("jobs", "Jobs", hint, html("<p class=\"quiet\">No job runs now.</p>"));
  return section_html("jobs", "Jobs", hint,
                      table_html("card", {"Job", "Pipeline", "Agent", "Builders", "Needs", "Started", "Ends"}, rows));
}

Markup page_prefetch(const PageFacts& facts) {
  Markup items;
  for (const auto& item : facts.prefetch.items) {
    items += html("<li><code>{}</code> {}<br><small>{}: {}</small></li>", name_html(item.image),
                  pill_html(policy::to_string(item.state), mood_of(item.state)),
                  item.builder.empty() ? std::string("engine") : format("builder {}", item.builder), item.reason);
  }
  if (items.empty()) return html("<section id=\"prefetch\" data-part hidden></section>\n");
  return section_html("prefetch", "Images ahead of their use", facts.prefetch.reason,
                      html("<ul class=\"card tiles\">{}</ul>", items));
}

Markup page_events(const PageFacts& facts) {
  Markup items;
  for (auto one = facts.events.rbegin(); one != facts.events.rend(); ++one) items += event_item(*one, facts.now);
  if (items.empty()) items = html("<li class=\"quiet\">Nothing was decided yet.</li>");
  return section_html("events", "Decisions", "latest first, each with its numbers",
                      html("{}<ol class=\"card log\">{}</ol>", event_filter(), items));
}

}  // namespace buildwarden::api
