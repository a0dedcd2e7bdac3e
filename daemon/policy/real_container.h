// The real container's part of a builder's plan. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/policy/builder.h"

namespace buildwarden::policy {

struct RealSteps {
  std::vector<BuilderStep> steps;
  bool needs_image = false;  // one of the steps creates a container
  bool refused = false;      // the container is not ours, and nothing may be done about it
  std::string note;          // what was left alone and why; "" when nothing was
};

// `lost`: it was warm before. A foreign container is never removed; with `adopt_foreign` it is started and unpaused.
RealSteps heal_real(const DesiredBuilder& desired, const ObservedBuilder& observed, bool lost);

}  // namespace buildwarden::policy
