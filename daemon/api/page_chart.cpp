#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/api/page.h"

namespace buildwarden::api {
namespace {

using Samples = std::vector<SpaceHistory::Sample>;

// An hour back and a quarter of an hour ahead, in an inner drawing of 750 x 100; what is written stands outside of it,
// so that it is not stretched.
constexpr Duration kBack = std::chrono::hours{1};
constexpr Duration kAhead = std::chrono::minutes{15};
constexpr Duration kGap = 4 * SpaceHistory::kEvery;  // longer between two samples: nothing was measured there
constexpr double kWidth = 750;

struct Scale {
  BootTime now;
  double top = 1;  // bytes
  [[nodiscard]] double x(BootTime at) const {
    const auto minutes = std::chrono::duration<double, std::ratio<60>>(at - (now - kBack)).count();
    return std::clamp(minutes * 10, 0.0, kWidth);
  }
  [[nodiscard]] double y(double bytes) const { return std::clamp(100 - 100 * bytes / top, 0.0, 100.0); }
};

// The curve as pieces without gaps: the line of each and the area below it.
Markup curve(const Samples& samples, const Scale& scale) {
  Markup pieces;
  for (std::size_t begin = 0; begin < samples.size();) {
    std::string line;
    std::size_t end = begin;
    while (end < samples.size() && (end == begin || samples[end].at - samples[end - 1].at <= kGap)) {
      const auto& sample = samples[end++];
      line += format("L{:.1f} {:.1f}", scale.x(sample.at), scale.y(static_cast<double>(sample.free)));
    }
    const auto from = scale.x(samples[begin].at);
    const auto to = scale.x(samples[end - 1].at);
    pieces += html("<path class=\"area\" d=\"M{:.1f} 100{}L{:.1f} 100Z\"/>", from, line, to);
    line[0] = 'M';
    if (end == begin + 1) line += 'Z';  // a single point shows by its round cap
    pieces += html("<path class=\"line\" d=\"{}\"/>", line);
    begin = end;
  }
  return pieces;
}

bool is_forecast(const policy::Pressure& pressure) {
  return pressure.until_critical.has_value() && pressure.fill_bytes_per_second > 0;
}

Markup forecast(const ports::FilesystemSnapshot& disk, const Scale& scale) {
  if (!disk.reading || !is_forecast(disk.pressure)) return {};
  const auto ahead = std::min(*disk.pressure.until_critical, kAhead);
  const auto seconds = std::chrono::duration<double>(ahead).count();
  const auto free = static_cast<double>(disk.reading->free);
  return html("<path class=\"forecast\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", scale.x(scale.now), scale.y(free),
              scale.x(scale.now + ahead), scale.y(free - seconds * disk.pressure.fill_bytes_per_second));
}

struct MarkLine {
  std::string_view name;
  Bytes bytes = 0;
  bool at_end = false;  // where its words stand: two marks may be close to each other
};

// 4 .. 116 of the drawing's 130: where the inner one lies.
double height_of(const MarkLine& mark, const Scale& scale) {
  return 4 + 1.12 * scale.y(static_cast<double>(mark.bytes));
}

Markup mark_line(const MarkLine& mark, const Scale& scale) {
  if (mark.bytes <= 0) return {};
  const auto y = height_of(mark, scale);
  return html("<line class=\"mark {}\" x1=\"0\" x2=\"100%\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", mark.name, y, y);
}

Markup mark_words(const MarkLine& mark, const Scale& scale) {
  if (mark.bytes <= 0) return {};
  return html("<text class=\"{}\" x=\"{}\" y=\"{:.1f}\">{} {}</text>", mark.at_end ? "end" : "start",
              mark.at_end ? "100%" : "0", std::max(height_of(mark, scale) - 3, 9.0), mark.name,
              format_bytes(mark.bytes));
}

// The words above the lines of all, so that none is crossed out.
Markup marks_of(const policy::Marks& marks, const Scale& scale) {
  const MarkLine critical{"critical", marks.critical, false};
  const MarkLine target{"target", marks.target, true};
  auto drawn = mark_line(critical, scale);
  drawn += mark_line(target, scale);
  drawn += mark_words(critical, scale);
  drawn += mark_words(target, scale);
  return drawn;
}

// Those that this chart shows: reclaims of its filesystem, heals where jobs build.
std::deque<ChartEvent> shown_on(const ports::FilesystemSnapshot& disk, std::deque<ChartEvent> all, Now now) {
  std::erase_if(all, [&](const ChartEvent& one) {
    const bool is_here = one.is_heal ? disk.gate : one.mount == disk.mount;
    return !is_here || one.at < now.wall - kBack || one.at > now.wall;
  });
  return all;
}

// A shape of its own for each kind, not a colour alone: a triangle down for a reclaim, a square for a heal.
Markup chart_event_mark(const ChartEvent& one, const Scale& scale, Now now) {
  const auto x = 100 * scale.x(scale.now - (now.wall - one.at)) / kWidth;
  return html(
      "<svg class=\"chart-event {}\" x=\"{:.2f}%\" y=\"4\" overflow=\"visible\"><title>{}: {}</title>"
      "<line y1=\"0\" y2=\"112\"/><path d=\"{}\"/></svg>",
      one.is_heal ? "heal" : "reclaim", x, when_text(one.at, now), one.reason,
      one.is_heal ? "M-4 0H4V8H-4Z" : "M-5 0H5L0 9Z");
}

Markup chart_event_legend(const std::deque<ChartEvent>& shown) {
  const auto heals = std::count_if(shown.begin(), shown.end(), [](const ChartEvent& one) { return one.is_heal; });
  const auto item = [](std::string_view kind, std::string_view path, std::size_t number) {
    if (number == 0) return Markup();
    return html(
        "<li><svg class=\"swatch chart-event {}\" aria-hidden=\"true\"><path d=\"{}\"/></svg>{} within the hour</li>",
        kind, path, counted(number, kind));
  };
  const auto healed = static_cast<std::size_t>(heals);
  auto items = item("reclaim", "M0 0H10L5 9Z", shown.size() - healed);
  items += item("heal", "M1 1H9V9H1Z", healed);
  return items.empty() ? Markup() : html("<ul class=\"legend\">{}</ul>", items);
}

std::string in_words(const ports::FilesystemSnapshot& disk, const Samples& samples) {
  if (samples.empty()) return "Free space: not measured yet";
  Bytes least = samples.front().free;
  Bytes most = least;
  for (const auto& sample : samples) {
    least = std::min(least, sample.free);
    most = std::max(most, sample.free);
  }
  auto words = format("Free space over the last hour: between {} and {}", format_bytes(least), format_bytes(most));
  if (is_forecast(disk.pressure)) words += format("; critical in {}", brief(*disk.pressure.until_critical));
  return words;
}

}  // namespace

Markup page_chart(const ports::FilesystemSnapshot& disk, ChartHistory history, Now now) {
  auto samples = std::move(history.samples);
  const auto shown = shown_on(disk, std::move(history.chart_events), now);
  std::erase_if(samples, [&now](const SpaceHistory::Sample& one) { return one.at < now.boot - kBack; });
  const auto& reading = disk.reading;
  if (reading && disk.error.empty() && (samples.empty() || samples.back().at < reading->at.boot)) {
    samples.push_back({reading->at.boot, reading->free});
  }
  auto top = std::max<Bytes>(disk.marks.target, 1);
  for (const auto& sample : samples) top = std::max(top, sample.free);
  const Scale scale{now.boot, static_cast<double>(top) * 1.1};
  const auto marks = marks_of(disk.marks, scale);
  Markup chart_events;
  for (const auto& one : shown) chart_events += chart_event_mark(one, scale, now);
  return html(
      "<svg class=\"chart\" role=\"img\" aria-label=\"{}\" height=\"130\">"
      "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"116\" y2=\"116\"/><line class=\"axis\" x1=\"80%\" x2=\"80%\" "
      "y1=\"4\" y2=\"116\"/>{}"
      "<svg x=\"0\" y=\"4\" width=\"100%\" height=\"112\" viewBox=\"0 0 750 100\" preserveAspectRatio=\"none\">{}{}"
      "</svg>{}<text x=\"0\" y=\"128\">1 h ago</text><text class=\"middle\" x=\"80%\" y=\"128\">now</text>"
      "<text class=\"end\" x=\"100%\" y=\"128\">+15 min</text></svg>{}",
      in_words(disk, samples), marks, curve(samples, scale), forecast(disk, scale), chart_events,
      chart_event_legend(shown));
}

}  // namespace buildwarden::api
