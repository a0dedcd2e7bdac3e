// Short aligned tables for people.
#pragma once

#include <string>
#include <vector>

namespace buildwarden::cli {

// The first row is the heading. Columns are padded to their widest cell and two blanks apart; nothing is padded at the
// end of a line. Control characters in cells are shown as visible() does.
std::string table(std::vector<std::vector<std::string>> rows);

}  // namespace buildwarden::cli
