// Answers made smaller for who asks for it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/api/message.h"

namespace buildwarden::api {

// Longer ones take over 5 ms of the loop, shorter ones are one packet anyway.
inline constexpr std::size_t kLeastGzipped = 1400;
inline constexpr std::size_t kMostGzipped = std::size_t{512} * 1024;

// Whether an Accept-Encoding header takes gzip: by its name, or "x-gzip", or "*", with a weight above 0.
bool accepts_gzip(std::string_view accept_encoding);

// RFC 1952; nothing when it cannot be made.
std::optional<std::string> gzip(std::string_view text);

// Compresses the body of a good answer to a GET that asks for it, within the two bounds, and says so. Nothing that a
// POST answers is compressed: it has secrets beside texts that the client chose.
void gzip_if_asked(const Request& request, Response& response);

}  // namespace buildwarden::api
