// What several subcommands print alike.
#pragma once

#include <boost/json/array.hpp>
#include <functional>
#include <string>
#include <vector>

#include "daemon/cli/client.h"

namespace buildwarden::cli {

// Asks `target` and prints the answer: the daemon's own JSON, or what `human` makes of it.
int show(const Context& context, const std::string& target,
         const std::function<std::string(const boost::json::value&)>& human);

std::string filesystems_table(const boost::json::array& filesystems);
std::string builders_table(const boost::json::array& builders);
std::string jobs_table(const boost::json::array& jobs);
std::string emulators_table(const boost::json::array& emulators);

// A line for each folder in which nothing is deleted, of the answers that have them; "" for none.
std::string refused_lines(const boost::json::value& answer);

// The texts of a list in one cell, "-" for none.
std::string joined(const boost::json::array& texts);

}  // namespace buildwarden::cli
