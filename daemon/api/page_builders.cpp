#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

std::string_view mood_of(policy::BuilderState state) {
  switch (state) {
    case policy::BuilderState::kWarm: return "good";
    case policy::BuilderState::kStarting:
    case policy::BuilderState::kHealing: return "warn";
    case policy::BuilderState::kDown: return "bad";
    case policy::BuilderState::kOff: return "quiet";
  }
  return "quiet";
}

std::string_view mood_of(policy::PlatformState state) {
  switch (state) {
    case policy::PlatformState::kNative:
    case policy::PlatformState::kProven: return "good";
    case policy::PlatformState::kRegistered: return "warn";
    case policy::PlatformState::kBroken:
    case policy::PlatformState::kMissing: return "bad";
    case policy::PlatformState::kOff:
    case policy::PlatformState::kUnknown: return "quiet";
  }
  return "quiet";
}

Markup names(const std::vector<std::string>& all, std::string_view none) {
  if (all.empty()) return html("<span class=\"quiet\">{}</span>", none);
  Markup list;
  for (const auto& one : all) list += html("{}<code>{}</code>", list.empty() ? "" : " ", name_html(one));
  return list;
}

Markup heals(const ports::BuilderView& builder, Now now) {
  if (builder.heals == 0) return html("<span class=\"quiet\">none</span>");
  Markup last;
  if (builder.last_heal_at) {
    last = html("<br><small>{}, {}</small>", builder.last_heal_reason, when_html(*builder.last_heal_at, now));
  }
  return html("<data value=\"{}\">{}</data>{}", builder.heals, builder.heals, last);
}

// What a share of the disk comes to, where builders' volumes are; nothing while that is not known.
std::optional<Bytes> share_bytes(const ports::BuilderView& builder, const ports::DiskView& view) {
  if (!builder.cache_share) return std::nullopt;
  if (!builder.cache_share->is_share()) return builder.cache_share->absolute();
  for (const auto& disk : view.filesystems) {
    if (disk.keeps.contains(ports::Kept::kVolumes) && disk.reading) return builder.cache_share->of(disk.reading->total);
  }
  return std::nullopt;
}

Markup cache_html(const ports::BuilderView& builder, const ports::DiskView& view) {
  if (!builder.cache_bytes) return html("<span class=\"quiet\">unknown</span>");
  const auto share = share_bytes(builder, view);
  if (!share) return size_html(*builder.cache_bytes);
  return html(
      "{}<br><small>of {} (cache_share)</small><meter min=\"0\" max=\"{}\" value=\"{}\" aria-label=\"Cache of {} "
      "against "
      "its share\"></meter>",
      size_html(*builder.cache_bytes), size_html(*share), *share, std::min(*builder.cache_bytes, *share), builder.name);
}

Markup row(const ports::BuilderView& builder, const ports::DiskView& disk, Now now) {
  const auto unknown = html("<span class=\"quiet\">unknown</span>");
  auto cells = html("<th role=\"rowheader\" scope=\"row\"><bdi>{}</bdi><br><small>{}</small></th>", builder.name,
                    builder.version);
  cells += cell_html("State", html("{}<br><small>{}</small>",
                                   pill_html(to_string(builder.state), mood_of(builder.state)), builder.reason));
  cells += cell_html("Leases", names(builder.leases, "none"));
  cells += cell_html("Builds", builder.running_builds ? html("{}", *builder.running_builds) : unknown);
  cells += cell_html("Cache", cache_html(builder, disk));
  cells += cell_html("Heals", heals(builder, now));
  cells += cell_html("Platforms", names(builder.platforms, "unknown"));
  return html("<tr role=\"row\" data-builder=\"{}\">{}</tr>", builder.name, cells);
}

}  // namespace

Markup page_builders(const PageFacts& facts) {
  Markup rows;
  for (const auto& builder : facts.builders.builders) rows += row(builder, facts.disk, facts.now);
  const auto engine = facts.engine.up ? format("engine {} answers", facts.engine.identity.version)
                                      : format("engine: {}", facts.engine.reason);
  if (rows.empty())
    return section_html("builders", "Builders", engine, html("<p class=\"quiet\">None is configured.</p>"));
  return section_html(
      "builders", "Builders", engine,
      table_html("card", {"Builder", "State", "Leases", "Builds", "Cache", "Heals", "Platforms"}, rows));
}

Markup page_emulators(const PageFacts& facts) {
  Markup items;
  for (const auto& one : facts.emulators.emulators) {
    const auto proven =
        one.proven_at ? html("<br><small>ran {}</small>", when_html(*one.proven_at, facts.now)) : Markup();
    const bool well = mood_of(one.state) == "good";
    items += html("<li data-platform=\"{}\">{} {}{}{}</li>", one.platform, name_html(one.platform),
                  pill_html(to_string(one.state), mood_of(one.state)),
                  well ? Markup() : html("<br><small>{}</small>", one.reason), proven);
  }
  if (items.empty()) return section_html("emulators", "Emulation", "off", {});
  return section_html("emulators", "Emulation", "each proven by running a program",
                      html("<ul class=\"card tiles\">{}</ul>", items));
}

}  // namespace buildwarden::api
