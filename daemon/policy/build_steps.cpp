#include "daemon/policy/build_steps.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace buildwarden::policy {
namespace {

constexpr std::string_view kRun = "RUN ";
constexpr std::string_view kExec = "mount / from exec ";
constexpr std::string_view kShell = " -c ";
constexpr std::string_view kContext = "[internal] load build context";
constexpr std::string_view kContextRecord = "local source for context";

// Seen on buildkitd 0.32.2: an inner record is made 2 to 28 ms after its step's end, a leaf 17 to 22 ms after its
// begin. A busy builder is slower.
constexpr Duration kSlack{1'000};
constexpr Duration kEarly{100};  // clocks are read one after the other

// Blanks, and what continues a line, are one blank each.
std::string with_single_blanks(std::string_view text) {
  std::string out;
  bool blank = false;
  for (const char c : text) {
    const bool is_blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!is_blank && blank && !out.empty()) out += ' ';
    if (!is_blank) out += c;
    blank = is_blank;
  }
  return out;
}

// Without "[build 3/7] ", which a step more in the Dockerfile would change.
std::string_view without_place(std::string_view text) {
  const auto end = text.find("] ");
  return text.starts_with('[') && end != std::string_view::npos ? text.substr(end + 2) : text;
}

std::string_view without_flags(std::string_view command) {
  while (command.starts_with("--")) {
    const auto end = command.find(' ');
    if (end == std::string_view::npos) return "";
    command.remove_prefix(std::min(command.find_first_not_of(' ', end), command.size()));
  }
  return command;
}

// `["sh", "-c", "make"]` as it is run: its words with a blank in between.
std::string words_of_list(std::string_view list) {
  std::string out;
  bool inside = false;
  for (std::size_t at = 0; at < list.size(); ++at) {
    const char c = list[at];
    if (c == '"') {
      if (!inside && !out.empty()) out += ' ';
      inside = !inside;
    } else if (inside) {
      const bool is_escape = c == '\\' && at + 1 < list.size();
      out += is_escape ? list[++at] : c;
    }
  }
  return out;
}

// What a shell is given to run, or the whole where none is.
std::string_view after_shell(std::string_view command) {
  const auto shell = command.find(kShell);
  return shell == std::string_view::npos ? command : command.substr(shell + kShell.size());
}

struct Match {
  Duration distance{0};
  std::size_t record = 0;
  std::size_t step = 0;
};

// How far the record is from the begin or the end of the step; nothing when it was not made by it.
std::optional<Duration> distance_of(const CacheRecord& record, const BuildStep& step) {
  if (record.created < step.started - kEarly || record.created > step.completed + kSlack) return std::nullopt;
  const auto apart = [&record](WallTime from) { return Duration{std::abs((record.created - from).count())}; };
  const auto distance = std::min(apart(step.started), apart(step.completed));
  return distance > kSlack ? std::nullopt : std::optional(distance);
}

std::vector<Match> matches_of(const std::vector<CacheRecord>& records, const std::vector<BuildStep>& steps) {
  std::multimap<std::string, std::size_t> by_text;
  for (std::size_t i = 0; i < steps.size(); ++i) by_text.emplace(text_of_step(steps[i].name), i);
  by_text.erase("");
  std::vector<Match> matches;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto [from, to] = by_text.equal_range(text_of_record(records[i].description));
    for (auto at = from; at != to; ++at) {
      const auto distance = distance_of(records[i], steps[at->second]);
      if (distance) matches.push_back({*distance, i, at->second});
    }
  }
  std::sort(matches.begin(), matches.end(), [](const Match& one, const Match& other) {
    return std::tie(one.distance, one.record, one.step) < std::tie(other.distance, other.record, other.step);
  });
  return matches;
}

}  // namespace

std::string text_of_step(std::string_view name) {
  if (name == kContext) return std::string(kContextRecord);
  const auto step = without_place(name);
  if (!step.starts_with(kRun)) return with_single_blanks(step);
  const auto command = without_flags(step.substr(kRun.size()));
  const auto words = command.starts_with('[') ? words_of_list(command) : std::string(command);
  const auto run = command.starts_with('[') ? after_shell(words) : std::string_view(words);
  return with_single_blanks(run);
}

std::string text_of_record(std::string_view description) {
  const auto text = without_place(description);
  if (!text.starts_with(kExec)) return with_single_blanks(text);
  return with_single_blanks(after_shell(text.substr(kExec.size() - 1)));
}

std::map<std::size_t, double> seconds_of_records(const std::vector<CacheRecord>& records,
                                                 const std::vector<BuildStep>& steps) {
  std::map<std::size_t, double> seconds;
  std::set<std::size_t> taken;
  for (const auto& match : matches_of(records, steps)) {
    if (seconds.contains(match.record) || !taken.insert(match.step).second) continue;
    const auto& step = steps[match.step];
    seconds[match.record] = std::chrono::duration<double>(std::max(step.completed - step.started, Duration{0})).count();
  }
  return seconds;
}

}  // namespace buildwarden::policy
