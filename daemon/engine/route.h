// Which of the engine's routes a request goes to, as one of few words. Pure.
#pragma once

#include <string>
#include <string_view>

namespace buildwarden::engine {

// "/images/a/b:1/json?x=1" → "/images/{}/json": names, ids and the query are left out, so that there are few routes.
std::string route_of(std::string_view target);

}  // namespace buildwarden::engine
