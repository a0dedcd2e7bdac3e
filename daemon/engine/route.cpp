#include "daemon/engine/route.h"

#include <algorithm>
#include <array>

namespace buildwarden::engine {
namespace {

// What the engine's paths have besides names and ids.
constexpr std::array<std::string_view, 23> kWords = {"_ping",    "build",  "containers", "create",  "df",   "events",
                                                     "exec",     "images", "info",       "json",    "load", "logs",
                                                     "networks", "prune",  "restart",    "start",   "stop", "system",
                                                     "unpause",  "wait",   "archive",    "volumes", "pause"};

bool is_word(std::string_view segment) { return std::find(kWords.begin(), kWords.end(), segment) != kWords.end(); }

}  // namespace

std::string route_of(std::string_view target) {
  target = target.substr(0, target.find('?'));
  std::string route;
  while (!target.empty()) {
    target.remove_prefix(1);  // the slash
    const auto segment = target.substr(0, target.find('/'));
    target.remove_prefix(segment.size());
    if (is_word(segment)) {
      route += '/';
      route += segment;
    } else if (!route.ends_with("/{}")) {
      route += "/{}";  // a name may have several segments
    }
  }
  return route;
}

}  // namespace buildwarden::engine
