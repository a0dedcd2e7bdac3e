// What a JSON library does not tell: that an object has a key twice.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace buildwarden::api {

// The first key that one object of `document` has twice, its escapes resolved; nothing when there is none, and when
// `document` is not JSON of at most `deepest` levels.
std::optional<std::string> duplicate_key(std::string_view document, std::size_t deepest);

}  // namespace buildwarden::api
