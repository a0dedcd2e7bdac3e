// The manifest of a seed as text. It is written last, so a seed without one is none.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "daemon/policy/seed.h"

namespace buildwarden::seeds {

inline constexpr const char* kManifestName = "manifest.json";
// Longer ones are refused; those of this version have less than 3 KiB beside their images (kMostSeedImages).
inline constexpr Bytes kLongestManifest = 24 * kKiB;

std::string encode_manifest(const policy::SeedManifest& manifest);

// kProtocol: it is none, with what is missing or wrong. Whether the seed is of use here is policy's to say; of a
// manifest of another format the format alone is read.
Result<policy::SeedManifest> decode_manifest(std::string_view text);

}  // namespace buildwarden::seeds
