#include "tests/support/worth_trace.h"

#include <algorithm>
#include <boost/json.hpp>
#include <istream>
#include <map>
#include <ostream>
#include <set>
#include <stdexcept>
#include <utility>

#include "common/format.h"

namespace buildwarden::testing {
namespace {

namespace json = boost::json;

constexpr double kSecondsADay = 24 * 3600;

policy::ThingKind kind_of(std::string_view name) {
  for (const auto kind : {policy::ThingKind::kImage, policy::ThingKind::kCache, policy::ThingKind::kCheckout}) {
    if (policy::to_string(kind) == name) return kind;
  }
  throw std::invalid_argument(format("kind: \"{}\" is none of image, cache, checkout", name));
}

std::string text_or_nothing(const json::object& from, std::string_view member) {
  const auto* value = from.if_contains(member);
  return value == nullptr ? std::string() : std::string(value->as_string());
}

Touch touch_of(const json::object& from) {
  Touch touch;
  touch.kind = kind_of(from.at("kind").as_string());
  touch.id = from.at("id").as_string();
  touch.name = text_or_nothing(from, "name");
  touch.description = text_or_nothing(from, "description");
  if (const auto* parents = from.if_contains("parents")) {
    for (const auto& parent : parents->as_array()) touch.parents.emplace_back(parent.as_string());
  }
  touch.bytes = from.at("bytes").to_number<Bytes>();
  touch.cost_seconds = from.at("cost_seconds").to_number<double>();
  if (touch.bytes < 0 || touch.cost_seconds < 0)
    throw std::invalid_argument("bytes and cost_seconds are never negative");
  return touch;
}

TracedJob job_of(const json::object& from) {
  TracedJob job;
  job.at = from.at("at").to_number<double>();
  job.job = from.at("job").as_string();
  for (const auto& touch : from.at("touches").as_array()) job.touches.push_back(touch_of(touch.as_object()));
  return job;
}

json::object to_json(const Touch& touch) {
  json::object to{{"kind", policy::to_string(touch.kind)}, {"id", touch.id}};
  if (!touch.name.empty()) to["name"] = touch.name;
  if (!touch.parents.empty()) to["parents"] = json::value_from(touch.parents);
  if (!touch.description.empty()) to["description"] = touch.description;
  to["bytes"] = touch.bytes;
  to["cost_seconds"] = touch.cost_seconds;
  return to;
}

}  // namespace

Result<Trace> read_trace(std::istream& lines) {
  Trace trace;
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty()) continue;
    try {
      trace.push_back(job_of(json::parse(line).as_object()));
    } catch (const std::exception& error) {
      return Error(Errc::kInvalid, format("line {}: {}", number, error.what()));
    }
    const bool is_back = trace.size() > 1 && trace.back().at < trace[trace.size() - 2].at;
    if (is_back) return Error(Errc::kInvalid, format("line {}: at is before that of the job above", number));
  }
  return trace;
}

void write_trace(const Trace& trace, std::ostream& lines) {
  for (const auto& job : trace) {
    json::array touches;
    for (const auto& touch : job.touches) touches.push_back(to_json(touch));
    lines << json::object{{"at", job.at}, {"job", job.job}, {"touches", std::move(touches)}} << '\n';
  }
}

Bytes bytes_of_a_day(const Trace& trace) {
  if (trace.empty()) return 0;
  std::map<int, std::set<std::string>> seen;
  double bytes = 0;
  for (const auto& job : trace) {
    auto& day = seen[static_cast<int>(job.at / kSecondsADay)];
    for (const auto& touch : job.touches) {
      if (day.insert(touch.id).second) bytes += static_cast<double>(touch.bytes);
    }
  }
  return static_cast<Bytes>(bytes / std::max(1.0, trace.back().at / kSecondsADay));
}

}  // namespace buildwarden::testing
