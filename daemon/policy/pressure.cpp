#include "daemon/policy/pressure.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "daemon/policy/trend.h"

namespace buildwarden::policy {
namespace {

constexpr Bytes kSliver = kMiB;
constexpr Duration kForecast = std::chrono::seconds{60};
constexpr Duration kRush = std::chrono::seconds{2};
constexpr Bytes kFastWriter = 2 * kGiB;  // a second: an SSD, or several disks as one
constexpr Duration kFastest = std::chrono::milliseconds{20};
constexpr Duration kFast = std::chrono::milliseconds{50};
constexpr Duration kCloser = std::chrono::milliseconds{100};
constexpr Duration kAttentive = std::chrono::milliseconds{250};
constexpr Duration kUnread = std::chrono::seconds{1};
constexpr Duration kCalm = std::chrono::seconds{6};
constexpr Duration kFarAway = std::chrono::minutes{10};

// One of the two things that can run out, in words that fit both.
struct Stock {
  std::string_view prefix;  // of the rule
  std::int64_t total;
  std::int64_t free;
  std::int64_t critical;
  std::int64_t low;
  std::int64_t target;
  bool exhausted;
  bool in_bytes;
};

struct Finding {
  Level level = Level::kOk;
  std::string rule = "enough";
  std::string reason;
};

std::string show(const Stock& stock, std::int64_t value) {
  return stock.in_bytes ? format_bytes(value) : format("{} inodes", value);
}

// "3.20 GiB of 100.00 GiB are free, less than the low mark of 5.00 GiB"; in single bytes where rounding would hide the
// difference.
std::string less_than(const Stock& stock, std::string_view mark_name, std::int64_t mark) {
  auto free = show(stock, stock.free);
  auto limit = show(stock, mark);
  if (stock.in_bytes && free == limit) {
    free = format("{} B", stock.free);
    limit = format("{} B", mark);
  }
  return format("{} of {} are free, less than the {} of {}", free, show(stock, stock.total), mark_name, limit);
}

// The first rule that holds, worst first. `held`: it was low or worse and has not met its target since.
Finding judge(const Stock& stock, bool held) {
  const auto rule = [&](std::string_view name) { return format("{}_{}", stock.prefix, name); };
  if (stock.exhausted) {
    const auto left = stock.free == 0 ? std::string("nothing") : "only " + show(stock, stock.free);
    return {Level::kExhausted, rule("exhausted"), format("{} of {} is free", left, show(stock, stock.total))};
  }
  if (stock.free < stock.critical)
    return {Level::kCritical, rule("below_critical"), less_than(stock, "critical mark", stock.critical)};
  if (stock.free < stock.low) return {Level::kLow, rule("below_low"), less_than(stock, "low mark", stock.low)};
  if (held && stock.free < stock.target) return {Level::kLow, "until_target", less_than(stock, "target", stock.target)};
  return {Level::kOk, "enough",
          format("{} of {} are free, the low mark is {}", show(stock, stock.free), show(stock, stock.total),
                 show(stock, stock.low))};
}

Stock bytes_of(const Reading& reading, const Marks& marks) {
  return {"free", reading.total, reading.free, marks.critical, marks.low, marks.target, is_exhausted(reading), true};
}

Stock inodes_of(const Reading& reading, const Marks& marks) {
  return {"inodes",         reading.total_inodes, reading.free_inodes,      marks.critical_inodes,
          marks.low_inodes, marks.target_inodes,  reading.free_inodes == 0, false};
}

// Why the figures cannot be those of a filesystem; "" when they can.
std::string nonsense(const Reading& reading) {
  if (reading.total <= 0) return format("the filesystem reports a size of {} bytes", reading.total);
  if (reading.free < 0 || reading.free > reading.total)
    return format("the filesystem reports {} bytes free of {}", reading.free, reading.total);
  if (reading.total_inodes < 0 || reading.free_inodes < 0 ||
      (reading.total_inodes > 0 && reading.free_inodes > reading.total_inodes))
    return format("the filesystem reports {} inodes free of {}", reading.free_inodes, reading.total_inodes);
  return {};
}

Assessment unknown(std::string reason, std::string rule, PressureMemory memory) {
  Assessment result;
  result.pressure.next_sample = kUnread;
  result.pressure.reason = std::move(reason);
  result.pressure.rule = std::move(rule);
  result.memory = std::move(memory);
  return result;
}

std::optional<Duration> sooner(std::optional<Duration> one, std::optional<Duration> other) {
  if (!one || !other) return one ? one : other;
  return std::min(*one, *other);
}

// The time until bytes or inodes fall to the marks' critical line; only over what fills steadily if so asked.
std::optional<Duration> until_marks(const Reading& reading, const Marks& marks, const Trend& trend, bool only_steady) {
  const auto bytes = time_until(static_cast<double>(reading.free - marks.critical),
                                only_steady && !trend.steady_bytes ? 0 : trend.bytes_per_second);
  if (reading.total_inodes == 0) return bytes;
  const auto inodes = time_until(static_cast<double>(reading.free_inodes - marks.critical_inodes),
                                 only_steady && !trend.steady_inodes ? 0 : trend.inodes_per_second);
  return sooner(bytes, inodes);
}

// The pace at the low mark itself: a late look costs what is written until then, of what lies between low and critical.
Duration pace_at_low(const Marks& marks) {
  const auto room = time_until(static_cast<double>(marks.low - marks.critical), static_cast<double>(kFastWriter));
  return std::clamp(room.value_or(kCalm) / 8, kFast, kAttentive);
}

// So often that even a fast writer, or one twice as fast, does not come from here to low unseen; more often when the
// rate says that critical is near, or when the last two readings hint at it.
Duration pace_at_ok(const Reading& reading, const Marks& marks, const std::vector<Reading>& recent,
                    std::optional<Duration> until) {
  const auto to_low = static_cast<double>(reading.free - marks.low);
  const auto to_critical = static_cast<double>(reading.free - marks.critical);
  auto pace =
      std::clamp(time_until(to_low, static_cast<double>(kFastWriter)).value_or(kCalm) / 2, pace_at_low(marks), kCalm);
  const auto slope = last_slope(recent);
  const auto hint = time_until(to_critical, slope);
  if (hint && *hint < kForecast) pace = std::min(pace, kCloser);
  if (const auto low_in = time_until(to_low, slope)) pace = std::min(pace, std::max(*low_in / 4, kFastest));
  if (until) pace = std::min(pace, std::clamp(*until / 120, kFastest, kCalm));
  return pace;
}

// Below ok: tens of milliseconds, unless the next worse level is known to be far away (a disk may stay low for days).
Duration pace_below_ok(Level level, const Reading& reading, const Marks& marks, const std::optional<Trend>& trend) {
  const auto fast = level == Level::kLow ? kFast : kFastest;
  if (!trend) return fast;
  const auto until = until_marks(reading, level == Level::kLow ? marks : Marks{}, *trend, false);
  return until && *until < kFarAway ? fast : kAttentive;
}

Finding worst_finding(const Reading& reading, const Marks& marks, Level before) {
  const bool held = before != Level::kOk && before != Level::kUnknown;
  auto finding = judge(bytes_of(reading, marks), held);
  if (reading.total_inodes == 0) return finding;
  auto by_inodes = judge(inodes_of(reading, marks), held);
  return by_inodes.level > finding.level ? by_inodes : finding;
}

// Asks for space before the low mark is met, where it will be and critical soon after.
void forecast(Pressure& pressure, const Reading& reading, const Marks& marks, const Trend& trend) {
  const auto until = until_marks(reading, marks, trend, true);
  if (!until || *until >= kForecast) return;
  pressure.reclaim = true;
  pressure.rule = "forecast";
  pressure.reason +=
      format(", and at {}/s and {:.0f} inodes/s it is critical in {}",
             format_bytes(static_cast<Bytes>(trend.bytes_per_second)), trend.inodes_per_second, short_duration(*until));
}

// The same before there is a trend, where waiting for one would be waiting too long.
void forecast_rush(Pressure& pressure, const Reading& reading, const Marks& marks, double slope) {
  const auto until = time_until(static_cast<double>(reading.free - marks.critical), slope);
  if (!until || *until >= kRush || pressure.reclaim) return;
  pressure.reclaim = true;
  pressure.rule = "forecast";
  pressure.reason += format(", and at {}/s or more it is critical in {}", format_bytes(static_cast<Bytes>(slope)),
                            short_duration(*until));
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::kOk: return "ok";
    case Level::kLow: return "low";
    case Level::kCritical: return "critical";
    case Level::kExhausted: return "exhausted";
    case Level::kUnknown: return "unknown";
  }
  return "unknown";
}

bool is_exhausted(const Reading& reading) {
  return reading.free == 0 || reading.free < std::min(kSliver, reading.total / 256);
}

Assessment assess(const std::optional<Reading>& reading, const Marks& marks, PressureMemory memory) {
  if (!reading) return unknown("there is no current reading of the filesystem", "no_reading", std::move(memory));
  if (auto wrong = nonsense(*reading); !wrong.empty())
    return unknown(std::move(wrong), "bad_reading", std::move(memory));

  auto finding = worst_finding(*reading, marks, memory.level);
  remember(memory.recent, *reading);
  memory.level = finding.level;
  memory.was_ok = memory.was_ok || finding.level == Level::kOk;

  Pressure pressure;
  pressure.level = finding.level;
  pressure.reclaim = finding.level != Level::kOk;
  pressure.reason = std::move(finding.reason);
  pressure.rule = std::move(finding.rule);
  if (!marks.mistake.empty()) pressure.reason += "; " + marks.mistake;
  const auto trend = trend_of(memory.recent);
  if (trend) {
    pressure.fill_bytes_per_second = trend->bytes_per_second;
    pressure.until_critical = until_marks(*reading, marks, *trend, false);
  }
  if (pressure.reclaim) {
    pressure.next_sample = pace_below_ok(pressure.level, *reading, marks, trend);
  } else {
    pressure.next_sample = pace_at_ok(*reading, marks, memory.recent, pressure.until_critical);
    if (trend) forecast(pressure, *reading, marks, *trend);
    forecast_rush(pressure, *reading, marks, sure_slope(memory.recent));
  }
  return {std::move(pressure), std::move(memory)};
}

}  // namespace buildwarden::policy
