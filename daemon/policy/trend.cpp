#include "daemon/policy/trend.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace buildwarden::policy {
namespace {

constexpr std::size_t kFewestPoints = 5;
constexpr Duration kShortestSpan = std::chrono::seconds{1};
constexpr std::size_t kRushPoints = 4;
constexpr Duration kRushWindow = std::chrono::seconds{1};
constexpr Duration kTrendWindow = std::chrono::seconds{10};
constexpr Duration kLongestGap = std::chrono::seconds{10};
constexpr Duration kClosest = std::chrono::milliseconds{100};
constexpr Duration kHorizon = std::chrono::days{30};

double seconds(Duration value) { return std::chrono::duration<double>(value).count(); }

// The first of the newest readings that belong together: without a gap, and no more of them than the window and the
// fewest points ask for.
std::size_t first_usable(const std::vector<Reading>& readings) {
  std::size_t first = readings.size() - 1;
  while (first > 0) {
    const auto& older = readings[first - 1];
    const bool enough = readings.size() - first >= kFewestPoints;
    if (readings[first].at.boot - older.at.boot > kLongestGap) break;
    if (enough && readings.back().at.boot - older.at.boot > kTrendWindow) break;
    --first;
  }
  return first;
}

// The value below which `share` of the slopes lie; `slopes` is not empty and is reordered.
double quantile(std::vector<double>& slopes, double share) {
  const auto nth = static_cast<std::ptrdiff_t>(share * static_cast<double>(slopes.size() - 1));
  std::nth_element(slopes.begin(), slopes.begin() + nth, slopes.end());
  return slopes[static_cast<std::size_t>(nth)];
}

std::vector<double> slopes_of(const std::vector<Reading>& readings, std::size_t first, std::int64_t Reading::* free) {
  std::vector<double> slopes;
  for (std::size_t i = first; i < readings.size(); ++i) {
    for (std::size_t j = i + 1; j < readings.size(); ++j) {
      const auto lost = static_cast<double>(readings[i].*free - readings[j].*free);
      slopes.push_back(lost / seconds(readings[j].at.boot - readings[i].at.boot));
    }
  }
  return slopes;
}

}  // namespace

std::optional<Trend> trend_of(const std::vector<Reading>& readings) {
  if (readings.size() < kFewestPoints) return std::nullopt;
  const std::size_t first = first_usable(readings);
  if (readings.size() - first < kFewestPoints) return std::nullopt;
  if (readings.back().at.boot - readings[first].at.boot < kShortestSpan) return std::nullopt;
  auto bytes = slopes_of(readings, first, &Reading::free);
  auto inodes = slopes_of(readings, first, &Reading::free_inodes);
  Trend trend;
  trend.bytes_per_second = quantile(bytes, 0.5);
  trend.steady_bytes = quantile(bytes, 0.25) > 0;
  trend.inodes_per_second = quantile(inodes, 0.5);
  trend.steady_inodes = quantile(inodes, 0.25) > 0;
  return trend;
}

double last_slope(const std::vector<Reading>& readings) {
  if (readings.size() < 2) return 0;
  const auto& older = readings[readings.size() - 2];
  const auto& newer = readings.back();
  if (newer.at.boot - older.at.boot > kLongestGap) return 0;
  return static_cast<double>(older.free - newer.free) / seconds(newer.at.boot - older.at.boot);
}

double sure_slope(const std::vector<Reading>& readings) {
  if (readings.size() < kRushPoints) return 0;
  const auto first = readings.size() - kRushPoints;
  if (readings.back().at.boot - readings[first].at.boot > kRushWindow) return 0;
  double least = std::numeric_limits<double>::max();
  for (std::size_t i = first + 1; i < readings.size(); ++i) {
    const auto lost = static_cast<double>(readings[i - 1].free - readings[i].free);
    least = std::min(least, lost / seconds(readings[i].at.boot - readings[i - 1].at.boot));
  }
  return std::max(least, 0.0);
}

void remember(std::vector<Reading>& readings, const Reading& reading) {
  if (!readings.empty()) {
    const auto& last = readings.back();
    if (last.total != reading.total || last.total_inodes != reading.total_inodes || last.at.boot >= reading.at.boot)
      readings.clear();
  }
  if (readings.size() >= 2 && reading.at.boot - readings[readings.size() - 2].at.boot < kClosest) {
    readings.back() = reading;
    return;
  }
  readings.push_back(reading);
  if (readings.size() > kRecentReadings) readings.erase(readings.begin());
}

std::optional<Duration> time_until(double distance, double per_second) {
  if (per_second <= 0) return std::nullopt;
  if (distance <= 0) return Duration{0};
  const double left = distance / per_second;
  if (left > seconds(kHorizon)) return std::nullopt;
  return Duration{static_cast<Duration::rep>(left * 1000.0)};
}

}  // namespace buildwarden::policy
