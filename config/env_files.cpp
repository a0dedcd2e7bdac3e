#include "config/env_files.h"

#include <algorithm>
#include <optional>

namespace buildwarden::config {
namespace {

constexpr std::string_view kBlank = " \t\r\v\f";

void skip_blank(std::string_view& text) { text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size())); }

void trim_end(std::string_view& text) {
  const auto last = text.find_last_not_of(kBlank);
  text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

struct Assignment {
  bool always = false;
  std::string name;
  std::string value;
};

// What follows the keyword: blanks, "NAME", blanks, "value".
std::optional<Assignment> parse_arguments(std::string_view rest, bool always) {
  const std::size_t before = rest.size();
  skip_blank(rest);
  trim_end(rest);
  if (rest.size() == before || !rest.starts_with('"')) return std::nullopt;
  rest.remove_prefix(1);
  const auto end = rest.find('"');
  if (end == std::string_view::npos || !is_name(rest.substr(0, end))) return std::nullopt;
  const std::string_view name = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  std::string_view value = rest;
  skip_blank(value);
  const bool separated = value.size() < rest.size();
  if (!separated || value.size() < 2 || !value.starts_with('"') || !value.ends_with('"')) return std::nullopt;
  return Assignment{always, std::string(name), std::string(value.substr(1, value.size() - 2))};
}

void take_cfn_line(std::string_view line, int number, Variables& variables) {
  skip_blank(line);
  const bool always = line.starts_with("set_always");
  const bool unless = line.starts_with("set_unless_present");
  if (!always && !unless) return;
  line.remove_prefix(std::string_view(always ? "set_always" : "set_unless_present").size());
  if (line.starts_with("()")) return;  // the function's own definition
  const auto assignment = parse_arguments(line, always);
  if (!assignment) {
    variables.odd_lines.push_back(number);
  } else if (assignment->always || !variables.by_name.contains(assignment->name)) {
    auto& variable = variables.by_name[assignment->name];
    variable = Variable{assignment->value, number, variable.always || assignment->always};
  }
}

}  // namespace

Variables parse_cfn_env(std::string_view text) {
  Variables variables;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    take_cfn_line(text.substr(0, end), number, variables);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return variables;
}

}  // namespace buildwarden::config
