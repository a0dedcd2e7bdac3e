#include "daemon/cli/table.h"

#include <algorithm>
#include <cstddef>

#include "common/visible_text.h"
#include "daemon/cli/context.h"

namespace buildwarden::cli {
namespace {

// In characters, not bytes: the continuation bytes of UTF-8 take no room.
std::size_t width(const std::string& cell) {
  return static_cast<std::size_t>(
      std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace

std::string table(std::vector<std::vector<std::string>> rows) {
  std::vector<std::size_t> widths;
  for (auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = visible(row[i]);
      widths[i] = std::max(widths[i], width(row[i]));
    }
  }
  std::string shown;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    shown += line + '\n';
  }
  return shown;
}

}  // namespace buildwarden::cli
