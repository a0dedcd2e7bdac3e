// Foreign text made safe to show.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace buildwarden::config {

// For messages: in double quotes, every byte that is not printable ASCII as \xNN, cut after 60 bytes.
std::string shown(std::string_view text);

// As YAML would take it back: bare where that is unambiguous, else in double quotes.
std::string yaml_spelling(std::string_view text);

// A proxy's address without its user and password: "http://***@proxy:3128".
std::string without_login(std::string_view address);

[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace buildwarden::config
