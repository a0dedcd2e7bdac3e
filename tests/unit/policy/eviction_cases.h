// The moment and the rules of tests about what goes first.
#pragma once

#include <chrono>

#include "daemon/policy/eviction_order.h"

namespace buildwarden::policy::cases {

inline const Now kAtEviction{WallTime{std::chrono::sys_days{std::chrono::year{2026} / 1 / 10}},
                             BootTime{std::chrono::hours{48}}};

inline EvictionRules rules_of(Duration age, Duration grace = std::chrono::minutes{10}) {
  EvictionRules rules;
  rules.age = age;
  rules.grace = grace;
  return rules;
}

}  // namespace buildwarden::policy::cases
