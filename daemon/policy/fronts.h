// The fronts' part of a builder's plan. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/policy/builder.h"

namespace buildwarden::policy {

struct FrontSteps {
  std::vector<BuilderStep> steps;
  bool needs_image = false;        // one of the steps creates a container
  std::vector<std::string> notes;  // what was left alone and why, one sentence each
};

// A front that is not ours is left alone (a job made a builder of that name by the documented recipe), and one that has
// to change stays while builds run: those dialled through it would die with it.
FrontSteps heal_fronts(const DesiredBuilder& desired, const ObservedBuilder& observed);

}  // namespace buildwarden::policy
