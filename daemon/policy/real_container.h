// The real container's part of a builder's plan. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/policy/builder.h"

namespace buildwarden::policy {

struct RealSteps {
  std::vector<BuilderStep> steps;
  bool waits = false;                  // its container is not to be created yet
  bool needs_image = false;            // one of the steps creates a container
  bool refused = false;                // the container is not ours, and nothing may be done about it
  std::string note;                    // what was left alone and why, or how a loop stands; "" when nothing was
  std::string not_recreated;           // as in BuilderPlan
  std::optional<CrashMemory> crashes;  // the memory once the steps are carried out
};

// `memory` has this look in it. A foreign container is never removed nor restarted; with `adopt_foreign` it is started
// and unpaused. Ours is restarted although somebody may be building on it only when it is frozen: then it counts as
// dead.
RealSteps heal_real(const DesiredBuilder& desired, const ObservedBuilder& observed, const BuilderMemory& memory,
                    Now now);

// Three questions in a row, of ten seconds each, during which it did next to nothing; one that never answered is given
// two minutes. Whatever it does: no answer in five minutes, in fifteen if it never answered.
bool is_frozen(const ObservedBuilder& observed);

}  // namespace buildwarden::policy
