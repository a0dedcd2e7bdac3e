#include "daemon/cli/show.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/format.h"
#include "common/time.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/table.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

std::string time_left(const json::value& filesystem) {
  const auto level = text(filesystem, "level");
  if (level == "critical" || level == "exhausted") return "now";
  const auto seconds = number(filesystem, "seconds_to_critical");
  return seconds ? short_duration(std::chrono::seconds{*seconds}) : "-";
}

// How long until then, by this machine's clock, below 0 when it was; nothing when it is no time.
std::optional<Duration> until(const json::value& object, std::string_view key) {
  const auto then = parse_rfc3339(text(object, key));
  if (!then) return std::nullopt;
  return *then - std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

std::string whole_seconds(Duration time) {
  return short_duration(std::chrono::floor<std::chrono::seconds>(std::max(time, Duration{0})));
}

// How long it still takes; "-" when it is no time.
std::string time_to(const json::value& object, std::string_view key) {
  const auto left = until(object, key);
  return left ? whole_seconds(*left) : "-";
}

std::string or_dash(const std::string& value) { return value.empty() ? "-" : value; }

// How long ago that was; "-" when it is no time.
std::string age(const json::value& object, std::string_view key) {
  const auto left = until(object, key);
  return left ? whole_seconds(-*left) : "-";
}

}  // namespace

int print_answer(const Context& context, const Result<Answer>& answer, const HumanText& human) {
  if (!answer) return report_failure(context, answer.error());
  if (!answer->good()) return report_problem(context, *answer);
  if (context.json) {
    print_json(context, answer->body);
  } else {
    context.out(human(answer->json));
  }
  return kYes;
}

int show(const Context& context, const std::string& target, const HumanText& human) {
  return print_answer(context, Client(context, context.patience).get(target), human);
}

std::string joined(const json::array& texts) {
  std::string all;
  for (const auto& item : texts) {
    const auto* string = item.if_string();
    if (string == nullptr) continue;
    if (!all.empty()) all += ", ";
    all.append(string->data(), string->size());
  }
  return or_dash(all);
}

std::string when(const json::value& object, std::string_view key, const Terminal& terminal) {
  if (!until(object, key)) return "-";
  return terminal.exists() ? age(object, key) + " ago" : text(object, key);
}

std::string filesystems_table(const json::array& filesystems, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows = {
      {"MOUNT", "LEVEL", "FREE", "OF", "CRITICAL", "LOW", "TARGET", "FULL IN", "GATE"}};
  for (const auto& filesystem : filesystems) {
    const auto& marks = member(filesystem, "marks");
    rows.push_back({text(filesystem, "mount"), text(filesystem, "level"), size(filesystem, "free_bytes"),
                    size(filesystem, "total_bytes"), size(marks, "critical_bytes"), size(marks, "low_bytes"),
                    size(marks, "target_bytes"), time_left(filesystem), truth(filesystem, "gate") ? "yes" : "no"});
  }
  return table(std::move(rows), terminal);
}

std::string builders_table(const json::array& builders, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows = {{"BUILDER", "STATE", "LEASES", "CACHE", "HEALS", "REASON"}};
  for (const auto& builder : builders) {
    rows.push_back({text(builder, "name"), text(builder, "state"), format("{}", list(builder, "leases").size()),
                    size(builder, "cache_bytes"), format("{}", number(builder, "heals").value_or(0)),
                    or_dash(text(builder, "reason"))});
  }
  return table(std::move(rows), terminal);
}

std::string jobs_table(const json::array& jobs, const Terminal& terminal) {
  if (jobs.empty()) return "no job is running\n";
  std::vector<std::vector<std::string>> rows = {{"JOB", "PIPELINE", "AGENT", "AGE", "RESERVED", "BUILDERS", "ENDS IN"}};
  for (const auto& job : jobs) {
    const auto reserved = number(job, "reserved_bytes").value_or(0);
    rows.push_back({text(job, "id"), or_dash(text(job, "pipeline")), or_dash(text(job, "agent")),
                    age(job, "started_at"), reserved > 0 ? format_bytes(reserved) : "-", joined(list(job, "builders")),
                    time_to(job, "expires_at")});
  }
  return table(std::move(rows), terminal);
}

std::string emulators_table(const json::array& emulators, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows = {{"PLATFORM", "STATE", "HANDLER", "FLAGS", "PROVEN AGO", "REASON"}};
  for (const auto& one : emulators) {
    rows.push_back({text(one, "platform"), text(one, "state"), or_dash(text(one, "handler")),
                    or_dash(text(one, "flags")), age(one, "proven_at"), or_dash(text(one, "reason"))});
  }
  return table(std::move(rows), terminal);
}

}  // namespace buildwarden::cli
