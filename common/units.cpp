#include "common/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "common/format.h"

namespace buildwarden {
namespace {

struct Unit {
  std::string_view suffix;
  std::int64_t factor;
};

constexpr std::array kSizeUnits = {
    Unit{"KiB", kKiB},
    Unit{"MiB", kMiB},
    Unit{"GiB", kGiB},
    Unit{"TiB", 1024 * kGiB},
    Unit{"kB", 1000},
    Unit{"KB", 1000},
    Unit{"MB", 1'000'000},
    Unit{"GB", 1'000'000'000},
    Unit{"TB", 1'000'000'000'000},
    Unit{"B", 1},
    Unit{"", 1},
};

// Milliseconds, longest suffix of the same letter first.
constexpr std::array kTimeUnits = {
    Unit{"ms", 1},        Unit{"s", 1000},       Unit{"m", 60'000},
    Unit{"h", 3'600'000}, Unit{"d", 86'400'000}, Unit{"w", 604'800'000},
};

constexpr std::string_view kSizeHint = "a size such as 5GiB, 20GB or 512MiB";
constexpr std::string_view kDurationHint = "a duration such as 90s, 4h, 7d or 1h30m";

Error wrong(std::string_view text, std::string_view hint) {
  return {Errc::kInvalid, format("\"{}\" is not {}", text, hint)};
}

// The number at the start of `text`, which is left behind it; nothing when there is none or it is negative.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (ec != std::errc{} || value < 0 || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<std::int64_t> scaled(double value, std::int64_t factor) {
  const double result = std::round(value * static_cast<double>(factor));
  if (result >= static_cast<double>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  return static_cast<std::int64_t>(result);
}

}  // namespace

Bytes Amount::of(Bytes total) const {
  if (!is_share_) return bytes_;
  return static_cast<Bytes>(of_one_ * static_cast<double>(std::max<Bytes>(total, 0)));
}

Result<Bytes> parse_bytes(std::string_view text) {
  std::string_view rest = text;
  const auto number = take_number(rest);
  if (!number) return wrong(text, kSizeHint);
  const auto* unit =
      std::find_if(kSizeUnits.begin(), kSizeUnits.end(), [&](const Unit& u) { return u.suffix == rest; });
  if (unit == kSizeUnits.end()) return wrong(text, kSizeHint);
  const auto value = scaled(*number, unit->factor);
  if (!value) return Error(Errc::kInvalid, format("\"{}\" is too large", text));
  return *value;
}

Result<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration{0};
  std::string_view rest = text;
  double total = 0;
  if (rest.empty()) return wrong(text, kDurationHint);
  while (!rest.empty()) {
    const auto number = take_number(rest);
    if (!number) return wrong(text, kDurationHint);
    const auto* unit =
        std::find_if(kTimeUnits.begin(), kTimeUnits.end(), [&](const Unit& u) { return rest.starts_with(u.suffix); });
    if (unit == kTimeUnits.end()) return wrong(text, kDurationHint);
    rest.remove_prefix(unit->suffix.size());
    total += *number * static_cast<double>(unit->factor);
  }
  // A hundred years: beyond it sums of two durations could overflow a time point.
  if (total > 100.0 * 365 * 86'400'000) return Error(Errc::kInvalid, format("\"{}\" is too long", text));
  return Duration{static_cast<std::int64_t>(std::llround(total))};
}

Result<Amount> parse_amount(std::string_view text) {
  if (!text.ends_with('%')) {
    auto size = parse_bytes(text);
    if (!size) return wrong(text, "a share such as 15% or a size such as 20GiB");
    return Amount::bytes(*size);
  }
  std::string_view rest = text;
  const auto percent = take_number(rest);
  if (!percent || rest != "%" || *percent > 100) return wrong(text, "a share between 0% and 100%");
  return Amount::share(*percent / 100.0);
}

std::string format_bytes(Bytes value) {
  const double magnitude = std::fabs(static_cast<double>(value));
  const auto show = [&](double factor, std::string_view unit, int digits) {
    return format("{:.{}f} {}", static_cast<double>(value) / factor, digits, unit);
  };
  if (magnitude >= 1024.0 * static_cast<double>(kGiB)) return show(1024.0 * static_cast<double>(kGiB), "TiB", 2);
  if (magnitude >= static_cast<double>(kGiB)) return show(static_cast<double>(kGiB), "GiB", 2);
  if (magnitude >= static_cast<double>(kMiB)) return show(static_cast<double>(kMiB), "MiB", 1);
  if (magnitude >= static_cast<double>(kKiB)) return show(static_cast<double>(kKiB), "KiB", 0);
  return show(1.0, "B", 0);
}

std::string counted(std::size_t count, std::string_view what) {
  return format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string format_duration(Duration value) {
  if (value.count() < 0) return "-" + format_duration(-value);
  if (value.count() == 0) return "0s";
  std::string text;
  auto rest = value.count();
  for (auto unit = kTimeUnits.rbegin(); unit != kTimeUnits.rend(); ++unit) {
    if (unit->suffix == "w" || rest < unit->factor) continue;
    text += format("{}{}", rest / unit->factor, unit->suffix);
    rest %= unit->factor;
  }
  return text;
}

std::string short_duration(Duration value) {
  constexpr int kMostUnits = 2;
  if (value.count() < 0) return "-" + short_duration(-value);
  if (value.count() == 0) return "0s";
  if (value < std::chrono::seconds{1}) return format("{} ms", value.count());
  std::string text;
  auto rest = value.count();
  int units = 0;
  for (auto unit = kTimeUnits.rbegin(); unit != kTimeUnits.rend() && units < kMostUnits; ++unit) {
    if (unit->suffix == "w" || (units == 0 && rest < unit->factor)) continue;
    const auto count = rest / unit->factor;
    rest %= unit->factor;
    ++units;
    if (count > 0) text += format("{}{}{}", text.empty() ? "" : " ", count, unit->suffix);
  }
  return text;
}

std::string format_amount(const Amount& value) {
  if (value.is_share()) return format("{:g}%", value.of_one() * 100.0);
  for (const auto& [suffix, factor] : {Unit{"GiB", kGiB}, Unit{"MiB", kMiB}, Unit{"KiB", kKiB}}) {
    if (value.absolute() != 0 && value.absolute() % factor == 0)
      return format("{}{}", value.absolute() / factor, suffix);
  }
  return format("{}B", value.absolute());
}

}  // namespace buildwarden
