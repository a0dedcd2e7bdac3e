#include "daemon/cli/option_values.h"

#include <charconv>
#include <utility>

#include "common/format.h"

namespace buildwarden::cli {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& given, const std::string& wanted) {
  throw CLI::ValidationError(name, format("\"{}\" is not {}", shown(given), wanted));
}

std::string range_of(const NumberBounds& bounds) {
  if (bounds.most == INT64_MAX) return format("a whole number of at least {}", bounds.least);
  return format("a whole number from {} to {}", bounds.least, bounds.most);
}

}  // namespace

std::string shown(const std::string& given) {
  return given.size() <= kMostShown ? given : given.substr(0, kMostShown) + "...";
}

CLI::Option* add_size(CLI::App* command, const std::string& name, std::function<void(Bytes)> keep) {
  const auto take = [name, keep = std::move(keep)](const std::string& given) {
    const auto value = parse_bytes(given);
    if (!value) refuse(name, given, "a size such as 20GiB, below 8EiB");
    keep(*value);
  };
  return command->add_option_function<std::string>(name, take)->type_name("SIZE");
}

CLI::Option* add_duration(CLI::App* command, const std::string& name, DurationBounds bounds,
                          std::function<void(Duration)> keep) {
  const auto take = [name, bounds, keep = std::move(keep)](const std::string& given) {
    const auto value = parse_duration(given);
    if (!value || *value < bounds.least || *value > bounds.most) {
      refuse(name, given,
             format("a duration such as 90s or 1h30m, from {} to {}", short_duration(bounds.least),
                    short_duration(bounds.most)));
    }
    keep(*value);
  };
  return command->add_option_function<std::string>(name, take)->type_name("DURATION");
}

CLI::Option* add_number(CLI::App* command, const std::string& name, NumberBounds bounds,
                        std::function<void(std::int64_t)> keep) {
  const auto take = [name, bounds, keep = std::move(keep)](const std::string& given) {
    std::int64_t value = 0;
    const auto* last = given.data() + given.size();
    const auto [end, failed] = std::from_chars(given.data(), last, value);
    if (failed != std::errc() || end != last || value < bounds.least || value > bounds.most) {
      refuse(name, given, range_of(bounds));
    }
    keep(value);
  };
  return command->add_option_function<std::string>(name, take)->type_name("NUMBER");
}

}  // namespace buildwarden::cli
