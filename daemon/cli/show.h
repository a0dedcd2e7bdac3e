// What several subcommands print alike.
#pragma once

#include <boost/json/array.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/client.h"

namespace buildwarden::cli {

// What an answer says to people.
using HumanText = std::function<std::string(const boost::json::value&)>;

// Prints an answer: the daemon's own JSON, or what `human` makes of it; or why there is none. The program's exit code.
int print_answer(const Context& context, const Result<Answer>& answer, const HumanText& human);

// Asks `target` and prints the answer.
int show(const Context& context, const std::string& target, const HumanText& human);

std::string filesystems_table(const boost::json::array& filesystems, const Terminal& terminal = {});
std::string builders_table(const boost::json::array& builders, const Terminal& terminal = {});
std::string jobs_table(const boost::json::array& jobs, const Terminal& terminal = {});
std::string emulators_table(const boost::json::array& emulators, const Terminal& terminal = {});

// When that was: "2h 5m ago" on a terminal, else the time itself; "-" when it is no time.
std::string when(const boost::json::value& object, std::string_view key, const Terminal& terminal);

// A line for each folder in which nothing is deleted, of the answers that have them; "" for none.
std::string refused_lines(const boost::json::value& answer);

// The texts of a list in one cell, "-" for none.
std::string joined(const boost::json::array& texts);

}  // namespace buildwarden::cli
