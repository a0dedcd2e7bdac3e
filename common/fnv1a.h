// FNV-1a (Fowler, Noll, Vo) of 64 bits: the same on every host and in every version, so it may be kept. For telling
// texts apart, not against who makes two alike.
#pragma once

#include <cstdint>
#include <string_view>

namespace buildwarden {

inline constexpr std::uint64_t kFnv1aStart = 0xCBF29CE484222325U;
inline constexpr std::uint64_t kFnv1aPrime = 0x100000001B3U;

// `from`: of what stands before the text.
constexpr std::uint64_t fnv1a(std::string_view text, std::uint64_t from = kFnv1aStart) {
  for (const char one : text) from = (from ^ static_cast<unsigned char>(one)) * kFnv1aPrime;
  return from;
}

}  // namespace buildwarden
