// What is wrong with a command line that has a word too many, in the order in which it was typed.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace buildwarden::cli {

// The first word that `app` does not know, with the one that it resembles: `"sttaus" is no command of buildwarden; did
// you mean status?`. "" when each is known.
std::string unknown_word(const CLI::App& app, const std::vector<std::string>& arguments);

// The help of the command below `app` that `arguments` lead to, as far as they do.
std::string help_of(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace buildwarden::cli
