// SHA-256 of a stream.
#pragma once

#include <nettle/sha2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace buildwarden::seeds {

class Sha256 {
 public:
  Sha256() { sha256_init(&context_); }

  void update(const void* bytes, std::size_t size) {
    sha256_update(&context_, size, static_cast<const std::uint8_t*>(bytes));
  }

  // 64 hex digits; begins anew.
  std::string digits() {
    constexpr const char* kHex = "0123456789abcdef";
    std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest{};
    sha256_digest(&context_, digest.size(), digest.data());
    std::string text;
    for (const unsigned byte : digest) {
      text += kHex[byte >> 4U];
      text += kHex[byte & 15U];
    }
    return text;
  }

 private:
  sha256_ctx context_{};
};

}  // namespace buildwarden::seeds
