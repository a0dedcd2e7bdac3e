// A builder as policy is shown it, and cases of what is to be done about it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/policy/builder.h"
#include "tests/unit/policy/moments.h"

namespace buildwarden::policy::cases {

inline const std::string kFront = "buildx_buildkit_s30";

inline DesiredBuilder desired() {
  DesiredBuilder value;
  value.name = "s3";
  value.spec_digest = "spec";
  value.fronts = {kFront};
  value.front_digest = "front";
  return value;
}

inline ObservedContainer container(ContainerState state, std::string digest) {
  return {.state = state, .id = "1", .ours = true, .spec_digest = std::move(digest), .image_id = "sha256:1"};
}

// Warm, with its front.
inline ObservedBuilder healthy() {
  ObservedBuilder value;
  value.engine_up = true;
  value.image_present = true;
  value.real = container(ContainerState::kRunning, "spec");
  value.fronts[kFront] = container(ContainerState::kRunning, "front");
  value.answers = true;
  return value;
}

inline BuilderMemory warm_before() {
  BuilderMemory memory;
  memory.was_warm = true;
  return memory;
}

// "create(removed) create_front(front_gone)"
inline std::string show(const std::vector<BuilderStep>& steps) {
  std::string text;
  for (const auto& step : steps) text += format("{}{}({})", text.empty() ? "" : " ", to_string(step.action), step.rule);
  return text;
}

struct PlanCase {
  const char* name;
  std::function<void(DesiredBuilder&, ObservedBuilder&)> change;
  const char* steps;
  BuilderState state;
};

inline void expect_plans(const std::vector<PlanCase>& cases, const BuilderMemory& memory) {
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    auto want = desired();
    auto seen = healthy();
    c.change(want, seen);
    const auto plan = reconcile(want, seen, memory, kNow);
    EXPECT_EQ(show(plan.steps), c.steps);
    EXPECT_EQ(to_string(plan.state), to_string(c.state));
    EXPECT_FALSE(plan.reason.empty());
    EXPECT_FALSE(plan.rule.empty());
    for (const auto& step : plan.steps) {
      EXPECT_FALSE(step.reason.empty());
      const bool of_front = step.rule.starts_with("front");
      EXPECT_EQ(step.container, of_front ? kFront : "buildwarden_s3");
    }
  }
}

}  // namespace buildwarden::policy::cases
