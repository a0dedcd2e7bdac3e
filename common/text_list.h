// Lists within a text: names with commas between them.
#pragma once

#include <ranges>
#include <string>
#include <string_view>
#include <vector>

namespace buildwarden {

// What is between the separators, empty parts too; of an empty text one empty part.
inline std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts(text.empty() ? 1 : 0);
  for (const auto part : std::views::split(text, separator)) parts.emplace_back(part.begin(), part.end());
  return parts;
}

// `texts`: of anything that is appended to a string.
template <class Range>
std::string join(const Range& texts, std::string_view separator) {
  std::string all;
  for (const auto& text : texts) {
    if (&text != &*std::begin(texts)) all += separator;
    all += text;
  }
  return all;
}

}  // namespace buildwarden
