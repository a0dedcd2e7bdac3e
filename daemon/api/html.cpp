#include "daemon/api/html.h"

#include "common/visible_text.h"

namespace buildwarden::api {

std::string escape_html(std::string_view text) {
  std::string escaped;
  const auto valid = as_utf8(text);
  escaped.reserve(valid.size());
  for (const char character : valid) {
    const auto byte = static_cast<unsigned char>(character);
    switch (character) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default:
        if ((byte < 0x20 && character != '\t' && character != '\n') || byte == 0x7f) {
          escaped += "\xEF\xBF\xBD";
        } else {
          escaped += character;
        }
    }
  }
  return escaped;
}

}  // namespace buildwarden::api
