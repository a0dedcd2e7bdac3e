// Answers that did not change are not sent again to who polls.
#pragma once

#include <string>
#include <string_view>

#include "daemon/api/message.h"

namespace buildwarden::api {

// A weak one, since what is compressed has the same: W/"<hash>-<length>".
std::string etag_of(std::string_view body);

// Whether an If-None-Match header has that tag, or is "*"; "W/" before a tag does not count.
bool matches_etag(std::string_view if_none_match, std::string_view etag);

// Tags a good answer to a GET that has a body and a path below /v1/, or the API's description; where the client has it
// already the answer becomes 304 without a body. What differs each time (/metrics, the page)
// and what is longer than 1 MiB has none.
void tag_for_polling(const Request& request, Response& response);

}  // namespace buildwarden::api
