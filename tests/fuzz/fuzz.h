// What the fuzz targets share. Each takes any bytes, and aborts when an answer breaks the contract of what it reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace buildwarden::fuzz {

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The first byte chooses which reader gets the rest: a letter from 'a' on, so that a seed is a text.
struct Choice {
  int which = 0;
  std::string_view rest;
};
inline Choice choose(const std::uint8_t* data, std::size_t size, int amount) {
  if (size == 0) return {0, {}};
  const int letter = data[0] >= 'a' ? data[0] - 'a' : data[0];
  return {letter % amount, as_text(data + 1, size - 1)};
}

// `about`: what is wrong then, for the log.
inline void expect(bool holds, std::string_view about = "") {
  if (holds) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(about.size()), about.data());
  std::abort();
}

template <class T>
void expect_ok(const Result<T>& result) {
  expect(result.ok(), result.ok() ? "" : result.error().message());
}

// A new one, in memory where there is such a place.
inline std::string new_folder() {
  const std::filesystem::path memory = "/dev/shm";
  const auto parent = std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
  std::string pattern = parent / "buildwarden-fuzz-XXXXXX";
  expect(::mkdtemp(pattern.data()) != nullptr, pattern);
  return pattern;
}

}  // namespace buildwarden::fuzz
