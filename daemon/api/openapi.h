// The API's own description, generated into the program from daemon/api/openapi.json.
#pragma once

#include <string_view>

namespace buildwarden::api {

// OpenAPI 3.1, JSON; lives as long as the program.
std::string_view openapi_document();

}  // namespace buildwarden::api
