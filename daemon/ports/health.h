// Readiness: every room says for itself what is missing.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace buildwarden::ports {

struct NotReady {
  std::string part;    // "engine", "disk", "builder s3", "config"
  std::string reason;  // one sentence
};

// Asked at each GET /readyz; an empty list is ready.
using Readiness = std::function<std::vector<NotReady>()>;

}  // namespace buildwarden::ports
