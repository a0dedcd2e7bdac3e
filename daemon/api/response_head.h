// The head of an answer, as it goes over the wire.
#pragma once

#include <string>

#include "daemon/api/message.h"

namespace buildwarden::api {

struct HeadOptions {
  unsigned version = 11;  // 10 or 11, as the request had it
  bool keep = true;       // whether another request may follow
  WallTime date;
};

// Status line and fields with the empty line. Of every answer: Date, Cache-Control: no-store, and what keeps a browser
// from guessing its type and from giving it to another origin's page; of a 503 Retry-After; Content-Length, or for
// HTTP/1.1 and a stream the chunked coding. A field of `response` replaces ours.
std::string response_head(const Response& response, const HeadOptions& options);

}  // namespace buildwarden::api
