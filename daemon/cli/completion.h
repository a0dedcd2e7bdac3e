// The completion of the command line for shells, made of its grammar.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace buildwarden::cli {

// What stands behind an option, or in the place of a command's own value.
struct CompletedValue {
  enum class Kind { kNone, kFile, kBuilder, kWords };
  Kind kind = Kind::kNone;
  std::vector<std::string> words;  // of kWords
};

struct CompletedOption {
  std::vector<std::string> names;  // with their dashes
  std::string help;
  bool takes_value = false;
  CompletedValue value;
};

struct CompletedCommand {
  std::string path;                                              // "disk reclaim"; "" of the program itself
  std::vector<std::pair<std::string, std::string>> subcommands;  // name, help
  std::vector<CompletedOption> options;                          // also those of the commands above it
  CompletedValue value;                                          // a value of its own, not an option's
};

// Each command of the grammar, the program itself first.
std::vector<CompletedCommand> commands_of(const CLI::App& app);

// The options of all commands that take a value, each name once.
std::vector<CompletedOption> options_with_value(const std::vector<CompletedCommand>& commands);

std::string bash_completion(const std::vector<CompletedCommand>& commands);
std::string zsh_completion(const std::vector<CompletedCommand>& commands);
std::string fish_completion(const std::vector<CompletedCommand>& commands);

// `shell` is one of kShells.
inline const std::vector<std::string> kShells = {"bash", "zsh", "fish"};
std::string completion(const CLI::App& app, const std::string& shell);

}  // namespace buildwarden::cli
