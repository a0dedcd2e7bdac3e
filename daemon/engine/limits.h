// Bounds that several calls of the Engine API share. A call's own bound stands beside it.
#pragma once

#include "common/units.h"

namespace buildwarden::engine {

// For a list to begin and end: the engine answers from memory.
inline constexpr Duration kListDeadline = std::chrono::seconds{10};

// For the removal of a container, a network or an image: it deletes layers before it answers.
inline constexpr Duration kRemoveDeadline = std::chrono::minutes{2};

// Bytes of a list of volumes, networks or ended containers.
inline constexpr Bytes kListLimit = 64 * kMiB;

// Bytes of a list of images or of all containers: a host with 10,000 of them answers with some 20 MB.
inline constexpr Bytes kLongListLimit = 256 * kMiB;

}  // namespace buildwarden::engine
