#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <chrono>

#include "common/format.h"
#include "common/text_list.h"
#include "common/time.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/show.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// One line an event: when, how bad, what kind, why.
std::string event_text(const json::value& event, const std::string& when, const Terminal& terminal) {
  const auto severity = visible(text(event, "severity"));
  return visible(when) + " " + painted(format("{:7}", severity), severity, terminal) +
         visible(format(" {} {}", text(event, "kind"), text(event, "reason"))) + "\n";
}

std::string describe_all(const json::value& answer, const Terminal& terminal) {
  std::size_t widest = 0;
  for (const auto& event : list(answer, "events")) widest = std::max(widest, when(event, "at", terminal).size());
  std::string lines;
  for (const auto& event : list(answer, "events")) {
    lines += event_text(event, format("{:<{}}", when(event, "at", terminal), widest), terminal);
  }
  return lines;
}

// Those that there are, as a follower is shown them; the number of the last event that there is by then.
Result<std::int64_t> show_first(const Context& context, const json::value& answer) {
  for (const auto& event : list(answer, "events")) {
    if (context.json) {
      print_json(context, json::serialize(event));
    } else {
      context.out(event_text(event, text(event, "at"), context.terminal()));
    }
  }
  const auto last = number(answer, "last_id");
  if (!last) return Error(Errc::kInvalid, "the daemon does not say which event is the last one");
  return *last;
}

std::string query_of(const EventOptions& options) {
  std::string query;
  const auto add = [&query](std::string_view name, const std::string& value) {
    query += format("{}{}={}", query.empty() ? '?' : '&', name, value);
  };
  if (options.before > 0) add("before", format("{}", options.before));
  // A follower that names no start gets what there is, and then goes on.
  if (options.since || options.follow) add("since", format("{}", options.since.value_or(0)));
  if (!options.from.empty()) add("from", path_segment(options.from));
  if (options.limit > 0) add("limit", format("{}", options.limit));
  if (!options.kinds.empty()) add("kind", path_segment(join(options.kinds, ",")));
  if (!options.severity.empty()) add("severity", options.severity);
  return query;
}

// One line of a stream of server-sent events; the data of ours is always one line.
void show_line(const Context& context, std::string_view line) {
  constexpr std::string_view kData = "data:";
  if (!line.starts_with(kData)) return;
  line.remove_prefix(kData.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  boost::system::error_code not_json;
  const auto event = json::parse({line.data(), line.size()}, not_json);
  if (not_json) return;
  if (context.json) {
    print_json(context, line);
  } else {
    // A line stands there for long, so that an age in it would soon be wrong.
    context.out(event_text(event, text(event, "at"), context.terminal()));
  }
}

// Nothing is missing between the two: the follower begins where the list ended.
int follow_after_latest(const Context& context, const Client& client, EventOptions options) {
  options.follow = false;
  const auto answer = client.get("/v1/events" + query_of(options));
  if (!answer) return report_failure(context, answer.error());
  if (!answer->good()) return report_problem(context, *answer);
  const auto last = show_first(context, answer->json);
  if (!last) return report_failure(context, last.error());
  options.follow = true;
  options.limit = 0;
  options.from.clear();
  options.since = *last;
  const auto end =
      client.follow("/v1/events" + query_of(options), [&](std::string_view line) { show_line(context, line); });
  return report_failure(context, end);
}

}  // namespace

bool begin_at(const std::string& given, EventOptions& options) {
  const bool is_number =
      !given.empty() && std::all_of(given.begin(), given.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) {
    std::int64_t number = 0;
    const auto [end, failed] = std::from_chars(given.data(), given.data() + given.size(), number);
    options.since = number;
    return failed == std::errc();
  }
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  if (const auto ago = parse_duration(given)) {
    options.from = format_rfc3339(now - std::min<Duration>(*ago, now.time_since_epoch()));
    return true;
  }
  const auto time = parse_rfc3339(given);
  if (time) options.from = format_rfc3339(*time);
  return static_cast<bool>(time);
}

int show_events(const Context& context, const EventOptions& options) {
  const auto target = "/v1/events" + query_of(options);
  if (!options.follow) {
    return show(context, target,
                [terminal = context.terminal()](const json::value& answer) { return describe_all(answer, terminal); });
  }
  const Client client(context, context.patience);
  if (options.limit > 0) return follow_after_latest(context, client, options);
  const auto end = client.follow(target, [&](std::string_view line) { show_line(context, line); });
  return report_failure(context, end);
}

}  // namespace buildwarden::cli
