#include "common/short_ids.h"

#include <cctype>

namespace buildwarden {
namespace {

bool is_of_word(char letter) { return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_'; }

bool is_digit(char letter) { return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f'); }

}  // namespace

std::string with_short_ids(std::string_view text) {
  std::string made;
  for (std::size_t at = 0; at < text.size();) {
    auto end = at;
    bool id = true;
    while (end < text.size() && is_of_word(text[end])) id = is_digit(text[end++]) && id;
    if (end == at) {
      made += text[at++];
      continue;
    }
    const auto word = text.substr(at, end - at);
    made += id && word.size() == kIdDigits ? word.substr(0, kShownDigits) : word;
    at = end;
  }
  return made;
}

}  // namespace buildwarden
