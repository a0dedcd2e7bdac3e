// Chance, so that many hosts that start or fail together do not ask the same registry together.
#pragma once

#include <functional>
#include <random>

#include "common/units.h"

namespace buildwarden {

// A duration in [0, most].
using Jitter = std::function<Duration(Duration most)>;

inline Jitter random_jitter() {
  return [engine = std::minstd_rand(std::random_device{}())](Duration most) mutable {
    return Duration{std::uniform_int_distribution<Duration::rep>(0, most.count())(engine)};
  };
}

}  // namespace buildwarden
