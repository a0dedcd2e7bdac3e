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

bool is_digit(char one) { return one >= '0' && one <= '9'; }

// Of a size, a duration or an age: "2.35 GiB", "2h 5m", "3s ago" are one value each.
bool is_within_value(std::string_view text, std::size_t space) {
  constexpr std::array<std::string_view, 9> kAfterNumber = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "s", "%", "ago"};
  const auto before = text.substr(0, space);
  const auto begin = before.rfind(' ') + 1;  // npos + 1 is 0
  if (begin >= space || !is_digit(text[begin])) return false;
  const auto rest = text.substr(space + 1);
  const auto word = rest.substr(0, rest.find_first_of(" ,;:)"));
  if (std::find(kAfterNumber.begin(), kAfterNumber.end(), word) != kAfterNumber.end()) return true;
  constexpr std::string_view kOfTime = "dhms";
  const auto is_of_time = [&](std::string_view one) {
    return !one.empty() && is_digit(one.front()) && kOfTime.find(one.back()) != std::string_view::npos;
  };
  return is_of_time(before.substr(begin)) && is_of_time(word);
}

// The last space up to `end` at which a line may end; npos: there is none.
std::size_t last_break(std::string_view text, std::size_t end) {
  auto space = text.rfind(' ', end);
  while (space != std::string_view::npos && space > 0 && is_within_value(text, space)) {
    space = text.rfind(' ', space - 1);
  }
  return space == 0 ? std::string_view::npos : space;
}

// Broken at spaces where there are any, in a value nowhere.
Row wrapped(std::string_view text, std::size_t width) {
  Row lines;
  while (width_of(text) > width) {
    const auto fits = bytes_within(text, width);
    const auto space = last_break(text, fits);
    const bool at_space = space != std::string_view::npos;
    lines.emplace_back(text.substr(0, at_space ? space : fits));
    text.remove_prefix(at_space ? space + 1 : fits);
  }
  lines.emplace_back(text);
  return lines;
}

// Of the longest value in it that has a space: what may not be broken.
std::size_t width_of_values(std::string_view text) {
  std::size_t widest = 0;
  std::size_t begin = 0;
  bool is_value = false;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] != ' ') continue;
    if (at < text.size() && is_within_value(text, at)) {
      is_value = true;
      continue;
    }
    if (is_value) widest = std::max(widest, width_of(text.substr(begin, at - begin)));
    begin = at + 1;
    is_value = false;
  }
  return widest;
}

struct Columns {
  Widths widths;
  Widths least;  // what each needs at least
  std::size_t gap = kGap;
};

Columns natural_columns(const std::vector<Row>& rows) {
  Columns columns;
  for (const auto& row : rows) {
    columns.widths.resize(std::max(columns.widths.size(), row.size()));
    columns.least.resize(columns.widths.size(), kNarrowest);
    for (std::size_t i = 0; i < row.size(); ++i) {
      columns.widths[i] = std::max(columns.widths[i], width_of(row[i]));
      columns.least[i] = std::max(columns.least[i], width_of_values(row[i]));
    }
  }
  return columns;
}

// The widest gives way first, down to the next one, until all fit. False: none can give more.
bool fit(Columns& columns, std::size_t room) {
  auto& widths = columns.widths;
  const auto cells = std::accumulate(widths.begin(), widths.end(), std::size_t{0});
  if (cells + kGap * (widths.size() - 1) <= room) return true;
  columns.gap = kSmallGap;
  for (auto needed = cells + kSmallGap * (widths.size() - 1); needed > room; --needed) {
    std::size_t widest = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const bool can_give = widths[i] > columns.least[i];
      if (can_give && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == widths.size()) return false;
    --widths[widest];
  }
  return true;
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

// Each row as a block of its own, a line for each column, where the columns do not fit beside one another.
std::string blocks(const std::vector<Row>& rows, const Terminal& terminal) {
  const auto& headings = rows.front();
  Columns columns{{0, 0}, {0, 0}, kSmallGap};
  for (const auto& heading : headings) columns.widths[0] = std::max(columns.widths[0], width_of(heading));
  const auto taken = columns.widths[0] + kSmallGap;
  columns.widths[1] = std::max(kNarrowest, terminal.width - std::min(terminal.width, taken));
  std::string shown;
  for (std::size_t row = 1; row < rows.size(); ++row) {
    if (row > 1) shown += '\n';
    for (std::size_t i = 0; i < rows[row].size(); ++i) {
      const auto heading = i < headings.size() ? headings[i] : std::string();
      shown += lines_of({heading, rows[row][i]}, {"", heading}, columns, terminal);
    }
  }
  return shown;
}

}  // namespace

std::string table(std::vector<Row> rows, const Terminal& terminal) {
  if (rows.empty()) return "";
  for (auto& row : rows) {
    for (auto& cell : row) cell = visible(cell);
  }
  auto columns = natural_columns(rows);
  const bool fits = !terminal.exists() || fit(columns, terminal.width);
  if (!fits && rows.size() > 1) return blocks(rows, terminal);
  std::string shown;
  for (const auto& row : rows) shown += lines_of(row, rows.front(), columns, terminal);
  return shown;
}

}  // namespace buildwarden::cli
