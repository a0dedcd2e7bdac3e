#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

std::string_view mood_of(policy::Level level) {
  switch (level) {
    case policy::Level::kOk: return "good";
    case policy::Level::kLow: return "warn";
    case policy::Level::kCritical:
    case policy::Level::kExhausted: return "bad";
    case policy::Level::kUnknown: return "quiet";
  }
  return "quiet";
}

struct Segment {
  std::string name;  // also its class
  Bytes bytes = 0;
};

constexpr std::array<std::string_view, 5> kKinds = {"images", "build_cache", "builder_cache", "containers",
                                                    "checkouts"};

std::string in_words(std::string kind) {
  std::replace(kind.begin(), kind.end(), '_', ' ');
  return kind;
}

// What the used space goes to, by kind; what nobody accounts for last.
std::vector<Segment> segments_of(const ports::FilesystemSnapshot& disk, const policy::Reading& reading) {
  std::vector<Segment> segments;
  auto rest = reading.total - reading.free - disk.ballast.bytes;
  for (const auto kind : kKinds) {
    Bytes bytes = 0;
    for (const auto& user : disk.users) bytes += user.kind == kind ? user.bytes : 0;
    rest -= bytes;
    if (bytes > 0) segments.push_back({std::string(kind), bytes});
  }
  if (disk.ballast.bytes > 0) segments.push_back({"ballast", disk.ballast.bytes});
  if (rest > 0) segments.push_back({"other", rest});
  return segments;
}

double percent(Bytes part, Bytes total) {
  return total <= 0 ? 0 : std::clamp(100.0 * static_cast<double>(part) / static_cast<double>(total), 0.0, 100.0);
}

// Where free space falls below the mark, as the bar fills from the left.
Markup tick(Bytes mark, Bytes total, std::string_view name) {
  if (mark <= 0) return {};
  const auto x = 100 - percent(mark, total);
  return html("<line class=\"mark {}\" x1=\"{:.2f}%\" x2=\"{:.2f}%\" y1=\"0\" y2=\"22\"/>", name, x, x);
}

Markup mark_item(std::string_view name, Bytes bytes, std::string_view meaning) {
  if (bytes <= 0) return {};
  return html(
      "<li><svg class=\"swatch\" aria-hidden=\"true\"><line class=\"mark {}\" x1=\"5\" x2=\"5\" y1=\"0\" "
      "y2=\"10\"/></svg><span>{} {}: {}</span></li>",
      name, name, size_html(bytes), meaning);
}

Markup marks_legend(const policy::Marks& marks) {
  auto items = mark_item("critical", marks.critical, "below it jobs wait");
  items += mark_item("low", marks.low, "below it space is made");
  items += mark_item("target", marks.target, "up to it space is made");
  return items;
}

Markup bar(const ports::FilesystemSnapshot& disk, const policy::Reading& reading) {
  Markup parts;
  Markup legend;
  double x = 0;
  for (const auto& segment : segments_of(disk, reading)) {
    const auto width = std::min(percent(segment.bytes, reading.total), 100 - x);
    parts += html("<rect class=\"{}\" x=\"{:.2f}%\" width=\"{:.2f}%\" y=\"4\" height=\"14\"/>", segment.name, x, width);
    legend += html(
        "<li><svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"{}\" width=\"10\" height=\"10\"/></svg>"
        "{} {}</li>",
        segment.name, in_words(segment.name), size_html(segment.bytes));
    x += width;
  }
  parts += tick(disk.marks.target, reading.total, "target");
  parts += tick(disk.marks.low, reading.total, "low");
  parts += tick(disk.marks.critical, reading.total, "critical");
  const auto used = reading.total - reading.free;
  return html(
      "<svg class=\"bar\" role=\"img\" height=\"22\" aria-label=\"{} of {} used, {:.0f} %; critical below {} free, low "
      "below {}, target {}\"><rect class=\"track\" width=\"100%\" y=\"4\" height=\"14\"/>{}</svg>"
      "<ul class=\"legend\">{}</ul><ul class=\"legend marks\" aria-label=\"Marks of free space\">{}</ul>",
      format_bytes(used), format_bytes(reading.total), percent(used, reading.total), format_bytes(disk.marks.critical),
      format_bytes(disk.marks.low), format_bytes(disk.marks.target), parts, legend, marks_legend(disk.marks));
}

Markup fact(std::string_view name, const Markup& value) {
  return html("<div><dt>{}</dt><dd>{}</dd></div>", name, value);
}

Markup rate(const policy::Pressure& pressure) {
  const auto per_second = pressure.fill_bytes_per_second;
  if (!std::isfinite(per_second) || std::fabs(per_second) < 512) return html("steady");
  const auto amount = size_html(static_cast<Bytes>(std::clamp(std::fabs(per_second), 0.0, 9e18)));
  return per_second > 0 ? html("filling {}/s", amount) : html("emptying {}/s", amount);
}

Markup until_critical(const ports::FilesystemSnapshot& disk) {
  const auto level = disk.pressure.level;
  if (level == policy::Level::kCritical || level == policy::Level::kExhausted) {
    return html("<b class=\"now\">now</b>");
  }
  const auto& until = disk.pressure.until_critical;
  return until ? html("in {}", brief(*until)) : html("not in sight");
}

Markup facts_of(const ports::FilesystemSnapshot& disk, const policy::Reading& reading, Now now) {
  auto facts = fact("Rate", rate(disk.pressure));
  facts += fact("Critical", until_critical(disk));
  if (reading.total_inodes > 0) {
    facts += fact("Free inodes", html("<data value=\"{}\">{:.1f} %</data>", reading.free_inodes,
                                      percent(reading.free_inodes, reading.total_inodes)));
  }
  if (disk.ballast.bytes > 0) facts += fact("Ballast", size_html(disk.ballast.bytes));
  facts += fact("Measured", when_html(reading.at.wall, now));
  return html("<dl class=\"facts\">{}</dl>", facts);
}

Markup users_of(const ports::FilesystemSnapshot& disk, std::size_t number) {
  constexpr std::size_t kMost = 12;
  auto users = disk.users;
  const auto bigger = [](const ports::DiskUser& one, const ports::DiskUser& other) {
    return one.bytes != other.bytes ? one.bytes > other.bytes : one.name < other.name;
  };
  std::sort(users.begin(), users.end(), bigger);
  const auto shown = std::min(users.size(), kMost);
  Markup rows;
  for (std::size_t i = 0; i < shown; ++i) {
    auto cells = cell_html("Kind", html("{}", in_words(users[i].kind)));
    cells += cell_html("Name", name_html(users[i].name));
    cells += cell_html("Size", size_html(users[i].bytes));
    rows += html("<tr role=\"row\">{}</tr>", cells);
  }
  if (rows.empty()) return {};
  const auto left = users.size() - shown;
  return html("<details id=\"users-{}\"><summary>What uses it</summary>{}{}</details>", number,
              table_html("", {"Kind", "Name", "Size"}, rows),
              left == 0 ? Markup() : html("<p class=\"quiet\">and {} smaller ones</p>", left));
}

// Stale numbers look like good ones: they are shown as what they are.
Markup body_of(const ports::FilesystemSnapshot& disk, const PageFacts& facts, std::size_t number) {
  Markup body;
  if (!disk.error.empty()) body += html("<p class=\"alarm\">Cannot be measured: {}</p>", disk.error);
  if (!disk.reading) return body.empty() ? html("<p class=\"quiet\">Not measured yet.</p>") : body;
  const auto& reading = *disk.reading;
  body += html("<p class=\"figure\"><b>{}</b> free <span>of {}{}</span></p>", size_html(reading.free),
               size_html(reading.total), disk.error.empty() ? "" : ", when it was last measured");
  body += bar(disk, reading);
  ChartHistory history;
  if (number < facts.history.size()) history.samples = facts.history[number];
  history.chart_events = facts.chart_events;
  body += page_chart(disk, std::move(history), facts.now);
  body += facts_of(disk, reading, facts.now);
  body += users_of(disk, number);
  return body;
}

}  // namespace

Markup page_disks(const PageFacts& facts) {
  Markup cards;
  for (std::size_t i = 0; i < facts.disk.filesystems.size(); ++i) {
    const auto& disk = facts.disk.filesystems[i];
    cards += html(
        "<article class=\"card\" data-mount=\"{}\"><header><h3>{}</h3>{}{}</header><p class=\"reason\">{}</p>{}"
        "</article>",
        disk.mount, name_html(disk.mount), pill_html(to_string(disk.pressure.level), mood_of(disk.pressure.level)),
        disk.gate ? html("<span class=\"tag\">jobs wait for it</span>") : Markup(), disk.pressure.reason,
        body_of(disk, facts, i));
  }
  if (cards.empty()) cards = html("<p class=\"quiet\">No filesystem is watched yet.</p>");
  const auto hint = facts.disk.reclaiming ? "space is being made now" : "";
  return section_html("disks", "Disks", hint, html("<div class=\"cards\">{}</div>", cards));
}

}  // namespace buildwarden::api
