// By hand: libsmartcols comes as a shared library alone, which each `job start` would load and whose name the program
// would depend on; and it tells the width of a text in the locale of the process, which a hook may not have.
#include "daemon/cli/table.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>

#include "common/visible_text.h"

namespace buildwarden::cli {
namespace {

using Row = std::vector<std::string>;
using Widths = std::vector<std::size_t>;

constexpr std::size_t kGap = 2;  // blanks between columns
constexpr std::size_t kSmallGap = 1;
constexpr std::size_t kNarrowest = 8;  // columns: below it a cell cannot be read

struct Range {
  char32_t first;
  char32_t last;
};
// Combining marks, joiners and selectors; East Asian characters and pictures (the wide ones of Unicode's
// EastAsianWidth).
constexpr std::array kNoWidth = {Range{0x300, 0x36f}, Range{0x200b, 0x200f}, Range{0xfe00, 0xfe0f}};
constexpr std::array kDoubleWidth = {Range{0x1100, 0x115f}, Range{0x2e80, 0xa4cf},   Range{0xac00, 0xd7a3},
                                     Range{0xf900, 0xfaff}, Range{0xfe30, 0xfe6f},   Range{0xff00, 0xff60},
                                     Range{0xffe0, 0xffe6}, Range{0x1f300, 0x1faff}, Range{0x20000, 0x3fffd}};

template <std::size_t Size>
bool is_in(const std::array<Range, Size>& ranges, char32_t character) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& one) { return character >= one.first && character <= one.last; });
}

std::size_t columns_of(char32_t character) {
  if (is_in(kNoWidth, character)) return 0;
  return is_in(kDoubleWidth, character) ? 2 : 1;
}

// The character of UTF-8 that begins at `at`, which is set behind it. Of what is none: its one byte.
char32_t next_character(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at++]);
  const std::size_t more = lead >= 0xf0U ? 3 : lead >= 0xe0U ? 2 : lead >= 0xc0U ? 1 : 0;
  char32_t character = more == 0 ? lead : lead & (0x3fU >> more);
  for (std::size_t i = 0; i < more && at < text.size(); ++i) {
    const auto next = static_cast<unsigned char>(text[at]);
    if ((next & 0xc0U) != 0x80U) break;
    character = (character << 6U) | (next & 0x3fU);
    ++at;
  }
  return character;
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) width += columns_of(next_character(text, at));
  return width;
}

// How many bytes of `text` fit into `width` columns, one character at least.
std::size_t bytes_within(std::string_view text, std::size_t width) {
  std::size_t at = 0;
  for (std::size_t used = 0; at < text.size();) {
    auto end = at;
    used += columns_of(next_character(text, end));
    if (used > width && at > 0) break;
    at = end;
  }
  return at;
}

// Broken at spaces where there are any.
Row wrapped(std::string_view text, std::size_t width) {
  Row lines;
  while (width_of(text) > width) {
    const auto fits = bytes_within(text, width);
    const auto space = text.rfind(' ', fits);
    const bool at_space = space != std::string_view::npos && space > 0;
    lines.emplace_back(text.substr(0, at_space ? space : fits));
    text.remove_prefix(at_space ? space + 1 : fits);
  }
  lines.emplace_back(text);
  return lines;
}

Widths natural_widths(const std::vector<Row>& rows) {
  Widths widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  return widths;
}

struct Columns {
  Widths widths;
  std::size_t gap = kGap;
};

// The widest gives way first, down to the next one, until all fit or none can give more.
void fit(Columns& columns, std::size_t room) {
  auto& widths = columns.widths;
  const auto cells = std::accumulate(widths.begin(), widths.end(), std::size_t{0});
  if (cells + kGap * (widths.size() - 1) <= room) return;
  columns.gap = kSmallGap;
  for (auto needed = cells + kSmallGap * (widths.size() - 1); needed > room; --needed) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kNarrowest) return;
    --*widest;
  }
}

bool has_colour(const Row& headings, std::size_t column) {
  return column < headings.size() && (headings[column] == "LEVEL" || headings[column] == "STATE");
}

// One row: as many lines as its tallest cell has.
std::string lines_of(const Row& row, const Row& headings, const Columns& columns, const Terminal& terminal) {
  const auto& widths = columns.widths;
  std::vector<Row> cells;
  std::size_t height = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    cells.push_back(wrapped(row[i], widths[i]));
    height = std::max(height, cells.back().size());
  }
  std::string shown;
  for (std::size_t line = 0; line < height; ++line) {
    std::string text;
    std::size_t padding = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const auto part = line < cells[i].size() ? cells[i][line] : std::string();
      if (!part.empty()) {
        text += std::string(padding, ' ') + (has_colour(headings, i) ? painted(part, row[i], terminal) : part);
        padding = 0;
      }
      padding += widths[i] - width_of(part) + columns.gap;
    }
    shown += text + '\n';
  }
  return shown;
}

}  // namespace

std::string table(std::vector<Row> rows, const Terminal& terminal) {
  if (rows.empty()) return "";
  for (auto& row : rows) {
    for (auto& cell : row) cell = visible(cell);
  }
  Columns columns{natural_widths(rows)};
  if (terminal.exists()) fit(columns, terminal.width);
  std::string shown;
  for (const auto& row : rows) shown += lines_of(row, rows.front(), columns, terminal);
  return shown;
}

}  // namespace buildwarden::cli
