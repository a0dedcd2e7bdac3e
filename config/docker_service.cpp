#include "config/docker_service.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/format.h"
#include "config/layer.h"

namespace buildwarden::config {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The next word of a list of assignments, without its quotes; specifiers stay, but for %%.
std::string take_word(std::string_view& text) {
  text = trimmed(text);
  std::string word;
  char quote = 0;
  while (!text.empty() && (quote != 0 || !is_blank(text.front()))) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else {
      const bool doubled = (c == '\\' || c == '%') && !text.empty() && (c == '\\' || text.front() == '%');
      word += doubled ? text.front() : c;
      if (doubled) text.remove_prefix(1);
    }
  }
  return word;
}

void add_assignments(std::string_view list, int line, UnitEnvironment& environment) {
  if (trimmed(list).empty()) {
    environment.by_name.clear();
    environment.forgets = true;
  }
  while (!trimmed(list).empty()) {
    const auto word = take_word(list);
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    environment.by_name[word.substr(0, equals)] = Variable{word.substr(equals + 1), line};
  }
}

// The name as dockerd takes it, which is in capitals or in small letters.
std::string in_capitals(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return name;
}

void apply_drop_in(const std::string& path, Merge& merge) {
  const auto text = merge.sources.read(path, [](const std::string& one) { return !one.empty(); });
  if (!text) return;
  const auto environment = parse_unit_environment(*text);
  const auto is_of_unit = [](const auto& one) { return one.second.from.source == kDockerService; };
  if (environment.forgets) std::erase_if(merge.proxies, is_of_unit);
  for (const auto& [name, variable] : environment.by_name) {
    const auto proxy = in_capitals(name);
    const auto known = merge.proxies.find(proxy);
    const bool beaten = known != merge.proxies.end() && !is_of_unit(*known);
    if (beaten || (proxy != "HTTP_PROXY" && proxy != "HTTPS_PROXY")) continue;
    const auto location = format("{}:{}", path, variable.line);
    merge.proxies[proxy] = {variable.value, Origin{kDockerService, location, variable.line, 0}};
  }
}

// One line of a unit's file, with those that a backslash joins to it.
struct UnitLine {
  std::string text;
  int number = 0;
};

UnitLine take_line(std::string_view& text, int& number) {
  UnitLine whole{"", number + 1};
  bool goes_on = true;
  while (goes_on && !text.empty()) {
    const auto end = text.find('\n');
    auto part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    const auto bare = trimmed(part);
    const bool is_remark = bare.starts_with('#') || bare.starts_with(';');
    if (is_remark && whole.text.empty()) return whole;
    if (is_remark) continue;  // between two lines that are one it does not end them
    goes_on = part.ends_with('\\');
    if (goes_on) part.remove_suffix(1);
    whole.text += part;
    if (goes_on) whole.text += ' ';
  }
  return whole;
}

}  // namespace

UnitEnvironment parse_unit_environment(std::string_view text) {
  UnitEnvironment environment;
  bool is_service = false;
  int number = 0;
  while (!text.empty()) {
    const auto line = take_line(text, number);
    const auto assignment = trimmed(line.text);
    if (assignment.starts_with('[')) is_service = assignment == "[Service]";
    const auto equals = assignment.find('=');
    if (equals == std::string_view::npos || trimmed(assignment.substr(0, equals)) != "Environment") continue;
    if (is_service) add_assignments(assignment.substr(equals + 1), line.number, environment);
  }
  return environment;
}

std::vector<std::string> drop_ins_of(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().extension() == ".conf") files.push_back(at->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void apply_docker_service(const std::string& folder, Merge& merge) {
  for (const auto& file : drop_ins_of(folder)) apply_drop_in(file, merge);
}

}  // namespace buildwarden::config
