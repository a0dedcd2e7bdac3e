#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "config/env_files.h"

namespace buildwarden::config {
namespace {

// systemd's own reading of the format, character by character: quotes may hold newlines, so it cannot go by lines.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Variables read() && {
    while (at_ < text_.size()) read_line();
    return std::move(variables_);
  }

 private:
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return text_[at_]; }

  char next() {
    const char c = text_[at_++];
    if (c == '\n') ++line_;
    return c;
  }

  static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

  void read_line() {
    while (!done() && (blank(peek()) || peek() == '\n')) next();
    if (done()) return;
    if (peek() == '#' || peek() == ';') return skip_comment();
    const int line = line_;
    std::string key;
    while (!done() && peek() != '=' && peek() != '\n') key += next();
    if (done() || peek() == '\n') {
      variables_.odd_lines.push_back(line);
      return;
    }
    next();
    while (!key.empty() && blank(key.back())) key.pop_back();
    auto value = read_value();
    if (is_name(key)) {
      variables_.by_name[key] = Variable{std::move(value), line};
    } else {
      (key.starts_with("export ") ? variables_.exported_lines : variables_.odd_lines).push_back(line);
    }
  }

  // As env_name_is_valid() of systemd has it.
  static bool is_name(const std::string& key) {
    const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
    const auto fits = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
    return !key.empty() && is_letter(key.front()) && std::all_of(key.begin(), key.end(), fits);
  }

  // A comment goes on after a backslash at the end of its line.
  void skip_comment() {
    while (!done()) {
      const char c = next();
      if (c == '\n') return;
      if (c == '\\' && !done()) next();
    }
  }

  std::string read_value() {
    while (!done() && blank(peek())) next();
    std::string value;
    std::size_t keep = 0;  // what stands in quotes or after a backslash is not trimmed
    while (!done()) {
      const char c = next();
      if (c == '\n') break;
      if (c == '\\') {
        const char escaped = done() ? '\n' : next();
        if (escaped != '\n') value += escaped;
        keep = value.size();
      } else if ((c == '"' || c == '\'') && value.size() == keep) {
        read_quoted(c, value);
        keep = value.size();
      } else {
        value += c;
      }
    }
    while (value.size() > keep && blank(value.back())) value.pop_back();
    return value;
  }

  void read_quoted(char quote, std::string& value) {
    while (!done()) {
      const char c = next();
      if (c == quote) return;
      if (c == '\\' && quote == '"' && !done()) {
        const char escaped = next();
        if (escaped == '\n') continue;
        if (std::string_view("\"\\`$").find(escaped) == std::string_view::npos) value += '\\';
        value += escaped;
      } else {
        value += c;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  Variables variables_;
};

}  // namespace

Variables parse_environment_file(std::string_view text) { return Reader(text).read(); }

}  // namespace buildwarden::config
