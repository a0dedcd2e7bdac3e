// Which seeds of builders there are, and what became of them.
#include "common/format.h"
#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

Markup seed_at_location(const ports::SeedView& seed) {
  if (!seed.asked_at) return html("<span class=\"quiet\">not asked yet</span>");
  if (!seed.there) return html("<span class=\"quiet\">none</span>");
  auto text = html("{} of {}", size_html(seed.there->unpacked_bytes), brief(seed.age.value_or(Duration{0})));
  if (!seed.there->images.empty()) text += html(", {}", counted(seed.there->images.size(), "image"));
  if (!seed.refusal.empty())
    text += html("<br>{} <small>{}</small>", pill_html("of no use here", "warn"), seed.refusal);
  return text;
}

std::string_view mood_of_seed(const ports::SeedView& seed) {
  if (seed.rule == "restored" || seed.rule == "saved" || seed.rule == "asked") return "good";
  return seed.rule == "not_saved" || seed.rule == "unreachable" ? "bad" : "quiet";
}

Markup seed_result(const ports::SeedView& seed) {
  auto text = html("{} <small>{}</small>", pill_html(seed.state, mood_of_seed(seed)), seed.reason);
  if (seed.of > 0 && (seed.state == "restoring" || seed.state == "saving")) {
    text += html("<br>{} of {}", size_html(seed.done), size_html(seed.of));
  }
  return text;
}

}  // namespace

Markup page_seeds(const PageFacts& facts) {
  const auto& view = facts.seeds;
  if (view.location.empty()) return html("<section id=\"seeds\" data-part hidden></section>\n");
  Markup rows;
  for (const auto& seed : view.seeds) {
    rows += html("<tr role=\"row\">{}{}{}{}</tr>", cell_html("Builder", name_html(seed.builder)),
                 cell_html("At the location", seed_at_location(seed)), cell_html("State", seed_result(seed)),
                 cell_html("Begun from", seed.restored_from.empty() ? html("<span class=\"quiet\">cold</span>")
                                                                    : html("{}", seed.restored_from)));
  }
  return section_html("seeds", "Seeds of builders", format("{}; saved: {}", view.location, view.save),
                      table_html("card", {"Builder", "At the location", "State", "Begun from"}, rows));
}

}  // namespace buildwarden::api
