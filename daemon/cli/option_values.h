// Options whose values are sizes, durations or numbers: understood as the configuration has them, within bounds, and
// refused with what would do. Of a value that is refused at most kMostShown characters are said again.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/units.h"

namespace buildwarden::cli {

inline constexpr std::size_t kMostShown = 40;

// `given` for a message: its beginning, when it is long.
std::string shown(const std::string& given);

// 0 bytes at least, below 8 EiB.
CLI::Option* add_size(CLI::App* command, const std::string& name, std::function<void(Bytes)> keep);

struct DurationBounds {
  Duration least{0};
  Duration most = std::chrono::hours{24 * 365};
};
CLI::Option* add_duration(CLI::App* command, const std::string& name, DurationBounds bounds,
                          std::function<void(Duration)> keep);

// A whole number.
struct NumberBounds {
  std::int64_t least = 1;
  std::int64_t most = INT64_MAX;
};
CLI::Option* add_number(CLI::App* command, const std::string& name, NumberBounds bounds,
                        std::function<void(std::int64_t)> keep);

}  // namespace buildwarden::cli
