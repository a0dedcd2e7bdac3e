#include "daemon/cli/completion.h"

#include <algorithm>
#include <set>

namespace buildwarden::cli {
namespace {

// By the type's name; of a set of words CLI11 has "TYPE:{one,other}".
CompletedValue value_of(const CLI::Option& option) {
  using Kind = CompletedValue::Kind;
  const auto type = option.get_type_name();
  if (type == "FILE" || type == "PATH") return {Kind::kFile, {}};
  if (type == "BUILDER") return {Kind::kBuilder, {}};
  const auto begin = type.find(":{");
  if (begin == std::string::npos || !type.ends_with('}')) return {};
  return {Kind::kWords, CLI::detail::split(type.substr(begin + 2, type.size() - begin - 3), ',')};
}

CompletedOption completed(const CLI::Option& option) {
  CompletedOption made;
  for (const auto& name : option.get_lnames()) made.names.push_back("--" + name);
  for (const auto& name : option.get_snames()) made.names.push_back("-" + name);
  made.help = option.get_description();
  made.takes_value = option.get_items_expected_min() > 0 && option.get_type_size() > 0;
  if (made.takes_value) made.value = value_of(option);
  return made;
}

void add_options(const CLI::App& app, CompletedCommand& command) {
  for (const auto* level = &app; level != nullptr; level = level->get_parent()) {
    for (const auto* option : level->get_options()) {
      auto made = completed(*option);
      const auto is_same = [&](const CompletedOption& one) { return one.names == made.names; };
      if (std::any_of(command.options.begin(), command.options.end(), is_same)) continue;  // --help of each level
      if (!option->get_positional()) command.options.push_back(std::move(made));
    }
  }
}

void add_command(const CLI::App& app, const std::string& path, std::vector<CompletedCommand>& all) {
  CompletedCommand command{.path = path, .subcommands = {}, .options = {}, .value = {}};
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const auto* one : subcommands) command.subcommands.emplace_back(one->get_name(), one->get_description());
  for (const auto* option : app.get_options([](const CLI::Option* one) { return one->get_positional(); })) {
    command.value = value_of(*option);
  }
  add_options(app, command);
  all.push_back(std::move(command));
  for (const auto* one : subcommands)
    add_command(*one, path.empty() ? one->get_name() : path + " " + one->get_name(), all);
}

}  // namespace

std::vector<CompletedCommand> commands_of(const CLI::App& app) {
  std::vector<CompletedCommand> all;
  add_command(app, "", all);
  return all;
}

std::vector<CompletedOption> options_with_value(const std::vector<CompletedCommand>& commands) {
  std::vector<CompletedOption> found;
  std::set<std::vector<std::string>> known;
  for (const auto& command : commands) {
    for (const auto& option : command.options) {
      if (option.takes_value && known.insert(option.names).second) found.push_back(option);
    }
  }
  return found;
}

std::string completion(const CLI::App& app, const std::string& shell) {
  const auto commands = commands_of(app);
  if (shell == "bash") return bash_completion(commands);
  return shell == "zsh" ? zsh_completion(commands) : fish_completion(commands);
}

}  // namespace buildwarden::cli
