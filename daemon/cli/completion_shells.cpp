// The scripts. Each knows the path of the command so far by walking over the words, behind options' values.
#include <string_view>

#include "common/format.h"
#include "common/shell_quote.h"
#include "common/text_list.h"
#include "daemon/cli/completion.h"

namespace buildwarden::cli {
namespace {

using Kind = CompletedValue::Kind;

// As fish reads them.
std::string fish_word(std::string_view text) {
  std::string made = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') made += '\\';
    made += letter;
  }
  return made + "'";
}

// "file", "builder", the words themselves, or "".
std::string spelt(const CompletedValue& value) {
  switch (value.kind) {
    case Kind::kNone: return "";
    case Kind::kFile: return "file";
    case Kind::kBuilder: return "builder";
    case Kind::kWords: return join(value.words, " ");
  }
  return "";
}

// For bash and zsh: what an option wants, or the value of a command; 1 of what takes none.
std::string values_function(const std::vector<CompletedCommand>& commands) {
  std::string made =
      "# What stands behind an option: \"file\", \"builder\", words, or nothing; 1 when it takes no value.\n";
  made += "_buildwarden_values() {\n  case $1 in\n";
  for (const auto& option : options_with_value(commands)) {
    made += format("    {}) echo {} ;;\n", join(option.names, " | "), shell_quote(spelt(option.value)));
  }
  made += "    *) return 1 ;;\n  esac\n}\n\n";
  made += "# The same of the value of a command.\n_buildwarden_value() {\n  case $1 in\n";
  for (const auto& command : commands) {
    const auto value = spelt(command.value);
    if (!value.empty()) made += format("    {}) echo {} ;;\n", shell_quote(command.path), shell_quote(value));
  }
  return made + "    *) ;;\n  esac\n}\n\n";
}

constexpr std::string_view kNames = R"sh(_buildwarden_names() {
  "$1" builders --json 2> /dev/null | grep -oE '"name": ?"[a-z0-9][a-z0-9_.-]*"' | sed 's/.*"\(.*\)"/\1/'
}

)sh";

constexpr std::string_view kBash = R"sh(# Adds what begins as $1 of the values that $2 tells of; $3 is the program.
_buildwarden_add() {
  local -a found=()
  case $2 in
    '') ;;
    file) mapfile -t found < <(compgen -f -- "$1") ;;
    builder) mapfile -t found < <(compgen -W "$(_buildwarden_names "$3")" -- "$1") ;;
    *) mapfile -t found < <(compgen -W "$2" -- "$1") ;;
  esac
  COMPREPLY+=("${found[@]}")
}

_buildwarden() {
  local current=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} at='' option='' word
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ -n $option ]]; then
      option=''
    elif _buildwarden_values "$word" > /dev/null; then
      option=$word
    elif _buildwarden_words "${at:+$at }$word" > /dev/null; then
      at=${at:+$at }$word
    fi
  done
  if [[ -n $option ]]; then
    _buildwarden_add "$current" "$(_buildwarden_values "$option")" "$program"
    return
  fi
  _buildwarden_add "$current" "$(_buildwarden_value "$at")" "$program"
  _buildwarden_add "$current" "$(_buildwarden_words "$at")" "$program"
}

complete -F _buildwarden buildwarden
)sh";

constexpr std::string_view kZsh = R"sh(# Adds the values that $1 tells of; $2 is the program.
_buildwarden_add() {
  case $1 in
    '') ;;
    file) _files ;;
    builder) compadd -- ${(f)"$(_buildwarden_names $2)"} ;;
    *) compadd -- ${=1} ;;
  esac
}

_buildwarden() {
  local at='' option='' word
  local -a commands options
  for word in ${words[2,CURRENT-1]}; do
    if [[ -n $option ]]; then
      option=''
    elif _buildwarden_values $word > /dev/null; then
      option=$word
    elif _buildwarden_describe "${at:+$at }$word"; then
      at=${at:+$at }$word
    fi
  done
  if [[ -n $option ]]; then
    _buildwarden_add "$(_buildwarden_values $option)" $words[1]
    return
  fi
  _buildwarden_add "$(_buildwarden_value $at)" $words[1]
  _buildwarden_describe "$at"
  if (( $#commands )); then _describe -t commands command commands; fi
  _describe -o -t options option options
}

if [[ $funcstack[1] == _buildwarden ]]; then
  _buildwarden "$@"
else
  compdef _buildwarden buildwarden
fi
)sh";

constexpr std::string_view kFish = R"sh(
# Whether the command so far is that of the arguments.
function __buildwarden_at
    set -l at
    set -l behind_option no
    for word in (commandline -opc)[2..-1]
        if test $behind_option = yes
            set behind_option no
        else if contains -- $word $__buildwarden_options
            set behind_option yes
        else if contains -- (string join ' ' $at $word) $__buildwarden_commands
            set -a at $word
        end
    end
    test "$at" = "$argv"
end

function __buildwarden_names
    set -l program (commandline -opc)[1]
    $program builders --json 2>/dev/null | string match -rag '"name": ?"([a-z0-9][a-z0-9_.-]*)"'
end

complete -c buildwarden -f
)sh";

// "name:help", as _describe takes them.
std::string described(const std::string& name, const std::string& help) {
  return shell_quote(format("{}:{}", name, help));
}

std::string fish_value(const CompletedOption& option) {
  if (!option.takes_value) return "";
  switch (option.value.kind) {
    case Kind::kNone: return " -x";
    case Kind::kFile: return " -r -F";
    case Kind::kBuilder: return " -x -a '(__buildwarden_names)'";
    case Kind::kWords: return format(" -x -a {}", fish_word(join(option.value.words, " ")));
  }
  return "";
}

std::string fish_lines(const CompletedCommand& command) {
  const auto begin = format("complete -c buildwarden -n {}", fish_word("__buildwarden_at " + command.path));
  std::string made;
  for (const auto& [name, help] : command.subcommands) made += format("{} -a {} -d {}\n", begin, name, fish_word(help));
  if (command.value.kind == Kind::kBuilder) made += begin + " -a '(__buildwarden_names)'\n";
  if (command.value.kind == Kind::kWords)
    made += format("{} -a {}\n", begin, fish_word(join(command.value.words, " ")));
  for (const auto& option : command.options) {
    made += begin;
    for (const auto& name : option.names) {
      made += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    made += format("{} -d {}\n", fish_value(option), fish_word(option.help));
  }
  return made;
}

}  // namespace

std::string bash_completion(const std::vector<CompletedCommand>& commands) {
  std::string made =
      "# shellcheck shell=bash\n# Completion of buildwarden(1) for bash, made by `buildwarden completion bash`.\n\n";
  made += "# The subcommands and options of a command; 1 when it is none.\n_buildwarden_words() {\n  case $1 in\n";
  for (const auto& command : commands) {
    made += format("    {}) printf '%s\\n'", shell_quote(command.path));
    for (const auto& [name, help] : command.subcommands) made += " " + name;
    for (const auto& option : command.options) made += " " + join(option.names, " ");
    made += " ;;\n";
  }
  made += "    *) return 1 ;;\n  esac\n}\n\n";
  return made + values_function(commands) + std::string(kNames) + std::string(kBash);
}

std::string zsh_completion(const std::vector<CompletedCommand>& commands) {
  std::string made =
      "#compdef buildwarden\n# Completion of buildwarden(1) for zsh, made by `buildwarden completion zsh`.\n\n";
  made +=
      "# Sets commands and options to those of a command; 1 when it is none.\n_buildwarden_describe() {\n  case $1 "
      "in\n";
  for (const auto& command : commands) {
    made += format("    {})\n      commands=(", shell_quote(command.path));
    for (const auto& [name, help] : command.subcommands) made += "\n        " + described(name, help);
    made += ")\n      options=(";
    for (const auto& option : command.options) {
      for (const auto& name : option.names) made += "\n        " + described(name, option.help);
    }
    made += ")\n      ;;\n";
  }
  made += "    *) return 1 ;;\n  esac\n}\n\n";
  return made + values_function(commands) + std::string(kNames) + std::string(kZsh);
}

std::string fish_completion(const std::vector<CompletedCommand>& commands) {
  std::string made =
      "# Completion of buildwarden(1) for fish, made by `buildwarden completion fish`.\n\nset -g __buildwarden_options";
  for (const auto& option : options_with_value(commands)) made += " " + join(option.names, " ");
  made += "\nset -g __buildwarden_commands";
  for (const auto& command : commands) {
    if (!command.path.empty()) made += " " + fish_word(command.path);
  }
  made += "\n" + std::string(kFish);
  for (const auto& command : commands) made += fish_lines(command);
  return made;
}

}  // namespace buildwarden::cli
