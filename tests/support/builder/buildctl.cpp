// buildctl.cpp - the commands of BuildKit's buildctl that builders are run with, for an image made of Debian packages
// alone.
//   buildctl [--addr unix://PATH] dial-stdio                  joins stdin and stdout to the builder
//   buildctl debug workers [--format '{{json .}}']            exit 0 once the builder answers; its platforms
//   buildctl du [--filter F] [--format '{{json .}}']          records of the build cache: a table, or one JSON array
//   (null: none) buildctl prune [--all] [--keep-storage MB] [--keep-duration DUR] [--filter F] [--format '{{json .}}']
//                                                             a table, or a JSON object a line for each record that was
//                                                             removed
//   buildctl debug histories [--format '{{json .}}']          a table, or a line for each record with all that it holds
//   buildctl debug histories --format kRefFormat              the reference of each build that ended, a line each
//   buildctl debug logs --progress rawjson REF                its steps with their times, as lines of JSON
//   buildctl prune-histories                                  deletes them; a table of those that went
//   buildctl --version
// It speaks BuildKit's own gRPC, so the answers are the builder's. Exit codes: 0 done, 1 failed or not supported here.

#include <unistd.h>

#include <array>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "control.h"
#include "streams.h"

namespace {

using test_builder::CacheRecord;
using test_builder::PruneRequest;

constexpr std::string_view kDefaultAddress = "unix:///run/buildkit/buildkitd.sock";
constexpr std::string_view kUnixScheme = "unix://";
constexpr std::string_view kJsonFormat = "{{json .}}";
constexpr std::string_view kRefFormat = "{{with .Record}}{{if .CompletedAt}}{{.Ref}}{{end}}{{end}}";
constexpr double kBytesOfMegabyte = 1e6;

/// The command line, taken apart: flags in any order, `--flag value`, `--flag=value` or, for switches, `--flag`.
struct CommandLine {
  std::vector<std::string> words;
  std::multimap<std::string, std::string> flags;

  [[nodiscard]] bool has(const std::string& flag) const { return flags.contains(flag); }

  [[nodiscard]] std::string value(const std::string& flag, std::string_view otherwise) const {
    const auto found = flags.find(flag);
    return found == flags.end() ? std::string(otherwise) : found->second;
  }

  [[nodiscard]] std::vector<std::string> values(const std::string& flag) const {
    std::vector<std::string> all;
    for (auto [at, end] = flags.equal_range(flag); at != end; ++at) {
      all.push_back(at->second);
    }
    return all;
  }
};

/// Whether `flag` takes a value; throws for one that is not known: a test must not pass because its flag was ignored.
bool takes_value(const std::string& flag) {
  static const std::map<std::string, bool> flags = {
      {"--addr", true},          {"--timeout", true}, {"--wait", false},  {"--debug", false},
      {"--version", false},      {"--format", true},  {"--filter", true}, {"-f", true},
      {"--verbose", false},      {"-v", false},       {"--all", false},   {"--keep-storage", true},
      {"--keep-duration", true}, {"--progress", true}};
  const auto found = flags.find(flag);
  if (found == flags.end()) {
    throw std::runtime_error("flag " + flag + " is not supported by the test builder");
  }
  return found->second;
}

CommandLine parse(const std::vector<std::string>& arguments) {
  CommandLine line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with('-')) {
      line.words.push_back(argument);
      continue;
    }
    const std::size_t equals = argument.find('=');
    const std::string flag = argument.substr(0, equals);
    const bool wants_value = takes_value(flag);
    if (equals != std::string::npos) {
      line.flags.emplace(flag, argument.substr(equals + 1));
    } else if (!wants_value) {
      line.flags.emplace(flag, "");
    } else if (++i < arguments.size()) {
      line.flags.emplace(flag, arguments[i]);
    } else {
      throw std::runtime_error("flag " + flag + " needs a value");
    }
  }
  return line;
}

std::string socket_path(const CommandLine& line) {
  const char* host = std::getenv("BUILDKIT_HOST");
  const std::string address = line.value("--addr", host != nullptr ? std::string_view(host) : kDefaultAddress);
  if (!address.starts_with(kUnixScheme)) {
    throw std::runtime_error("address " + address + " is not a unix socket");
  }
  return address.substr(kUnixScheme.size());
}

bool wants_json(const CommandLine& line) {
  if (!line.has("--format")) {
    return false;
  }
  if (line.value("--format", "") != kJsonFormat) {
    throw std::runtime_error("the only format of the test builder is " + std::string(kJsonFormat));
  }
  return true;
}

std::vector<std::string> filters(const CommandLine& line) {
  std::vector<std::string> all = line.values("--filter");
  const std::vector<std::string> brief = line.values("-f");
  all.insert(all.end(), brief.begin(), brief.end());
  return all;
}

/// The nanoseconds of one unit of Go's durations, by its name.
double nanoseconds_of(const std::string& unit) {
  static const std::map<std::string, double> units = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                                      {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  const auto found = units.find(unit);
  if (found == units.end()) {
    throw std::runtime_error("unknown unit \"" + unit + "\" in a duration");
  }
  return found->second;
}

/// A duration as Go writes it: 168h, 1h30m, 1.5s.
std::chrono::nanoseconds parse_duration(const std::string& text) {
  double total = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t used = 0;
    const double count = std::stod(text.substr(at), &used);
    at += used;
    std::string unit;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at])) != 0) {
      unit.push_back(text[at++]);
    }
    total += count * nanoseconds_of(unit);
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(total));
}

/// As the real one's: "20.99MB", "0B".
std::string size_text(std::int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  constexpr double kStep = 1000;
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= kStep && unit + 1 < kUnits.size(); ++unit) {
    value /= kStep;
  }
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%s" : "%.2f%s", value, kUnits[unit]);
  return text.data();
}

void print_rows(const std::vector<CacheRecord>& records) {
  std::printf("%-71s\t%-11s\t%s\t%s\n", "ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED");
  for (const CacheRecord& record : records) {
    std::printf("%-71s\t%-11s\t%s%s\t\n", (record.id + (record.is_mutable ? "*" : "")).c_str(),
                record.in_use ? "false" : "true", size_text(record.size).c_str(), record.shared ? "*" : "");
  }
}

std::int64_t total_of(const std::vector<CacheRecord>& records, bool with_used) {
  std::int64_t total = 0;
  for (const CacheRecord& record : records) {
    total += record.in_use && !with_used ? 0 : record.size;
  }
  return total;
}

void print_usage(const std::vector<CacheRecord>& records) {
  print_rows(records);
  std::printf("Reclaimable:\t%s\nTotal:\t\t%s\n", size_text(total_of(records, false)).c_str(),
              size_text(total_of(records, true)).c_str());
}

/// Of nothing the real one prints the sum alone.
void print_pruned(const std::vector<CacheRecord>& records) {
  if (!records.empty()) {
    print_rows(records);
  }
  std::printf("Total:\t%s\n", size_text(total_of(records, true)).c_str());
}

void print_array(const std::vector<CacheRecord>& records) {
  std::string json;
  for (const CacheRecord& record : records) {
    json += (json.empty() ? "[" : ",") + test_builder::to_json(record);
  }
  std::printf("%s\n", json.empty() ? "null" : (json + "]").c_str());
}

void dial_stdio(const CommandLine& line) {
  const test_builder::Descriptor builder = test_builder::dial(socket_path(line));
  test_builder::join(STDIN_FILENO, STDOUT_FILENO, builder.get());
}

void debug_workers(const CommandLine& line) {
  const std::string workers = test_builder::workers_json(socket_path(line));
  std::printf("%s\n", wants_json(line) ? workers.c_str() : "the builder answers");
}

void du(const CommandLine& line) {
  const std::vector<CacheRecord> records = test_builder::disk_usage(socket_path(line), filters(line));
  wants_json(line) ? print_array(records) : print_usage(records);
}

void prune(const CommandLine& line) {
  PruneRequest request;
  request.all = line.has("--all");
  request.keep_bytes = static_cast<std::int64_t>(std::stod(line.value("--keep-storage", "0")) * kBytesOfMegabyte);
  request.keep_duration = parse_duration(line.value("--keep-duration", ""));
  request.filters = filters(line);
  const std::vector<CacheRecord> pruned = test_builder::prune(socket_path(line), request);
  if (!wants_json(line)) {
    print_pruned(pruned);
    return;
  }
  for (const CacheRecord& record : pruned) {
    std::printf("%s\n", test_builder::to_json(record).c_str());
  }
}

/// As JSON the real one shows the whole record; here it is all of it that is printable, since a test looks for what
/// should not be in it. The table has the reference alone.
void debug_histories(const CommandLine& line) {
  if (line.value("--format", "") == kRefFormat) {
    for (const test_builder::HistoryRecord& record : test_builder::histories(socket_path(line))) {
      std::printf("%s\n", record.completed ? record.ref.c_str() : "");
    }
    return;
  }
  const bool whole = wants_json(line);
  if (!whole) {
    std::puts("TYPE\t\tREF\t\t\t\tCREATED\t\t\tCOMPLETED\t\tGENERATION\tPINNED");
  }
  for (const test_builder::HistoryRecord& record : test_builder::histories(socket_path(line))) {
    std::string text = record.bytes;
    for (char& c : text) {
      c = c >= ' ' && c <= '~' ? c : '.';
    }
    if (whole) {
      std::printf("%s %s\n", record.ref.c_str(), text.c_str());
    } else {
      std::printf("COMPLETE\t%s\n", record.ref.c_str());
    }
  }
}

void debug_logs(const CommandLine& line) {
  if (line.value("--progress", "") != "rawjson" || line.words.size() != 3) {
    throw std::runtime_error("the test builder shows the steps of one build, and those as rawjson");
  }
  for (const std::vector<test_builder::Vertex>& vertexes :
       test_builder::build_status(socket_path(line), line.words.back())) {
    if (!vertexes.empty()) {
      std::printf("%s\n", test_builder::status_json(vertexes).c_str());
    }
  }
}

void prune_histories(const CommandLine& line) {
  std::puts("TYPE\t\tREF\t\t\t\tCREATED\t\t\tCOMPLETED\t\tGENERATION");
  for (const test_builder::HistoryRecord& record : test_builder::histories(socket_path(line))) {
    test_builder::delete_history(socket_path(line), record.ref);
    std::printf("COMPLETE\t%s\n", record.ref.c_str());
  }
}

void run(const CommandLine& line) {
  static const std::map<std::string, std::function<void(const CommandLine&)>> commands = {
      {"dial-stdio", dial_stdio},
      {"debug workers", debug_workers},
      {"debug histories", debug_histories},
      {"debug logs", debug_logs},
      {"du", du},
      {"prune", prune},
      {"prune-histories", prune_histories}};
  std::string name;
  const std::size_t words = line.words.size() > 2 ? 2 : line.words.size();  // a reference may follow
  for (std::size_t at = 0; at < words; ++at) {
    name += (name.empty() ? "" : " ") + line.words[at];
  }
  if (line.has("--version")) {
    std::puts("buildctl github.com/moby/buildkit " TEST_BUILDER_VERSION " test");
    return;
  }
  const auto command = commands.find(name);
  if (command == commands.end()) {
    throw std::runtime_error("command \"" + name + "\" is not supported by the test builder");
  }
  command->second(line);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    run(parse(std::vector<std::string>(argv + 1, argv + argc)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
