// Rows under each other in columns.
#pragma once

#include <string>
#include <vector>

#include "daemon/cli/terminal.h"

namespace buildwarden::cli {

// Each column as wide as its widest cell; control characters are shown as visible() does. On a terminal that is
// narrower the columns stand closer, then the widest give way, and what does not fit into a cell goes on below it, so
// that nothing is lost, but never within a value such as "2.35 GiB" or "2h 5m ago". Where the columns do not fit so
// each row is a block, a line for each column. Words of the columns LEVEL and STATE have their colour. An empty list
// gives "".
std::string table(std::vector<std::vector<std::string>> rows, const Terminal& terminal = {});

}  // namespace buildwarden::cli
