// Writes one HTTP request on a connection. Internal to common/http_*.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "common/http_client.h"
#include "common/http_connection.h"

namespace buildwarden {

// Connects to the socket at `path` and sends all of `request`; each read of its file may take `deadline`. An answer
// that comes before all is sent (the engine refuses an archive) breaks the sending but can be read: so a connection
// that breaks within the body is no error here. kInvalid: a target or header that would break out of its line, or a
// `body_file` that is none; kNotFound, kDenied, kIo: the file cannot be read; else those of HttpConnection.
boost::asio::awaitable<Result<void>> send_request(HttpConnection& connection, std::string path, HttpRequest request,
                                                  Duration deadline);

}  // namespace buildwarden
