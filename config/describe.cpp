#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "common/format.h"
#include "common/visible_text.h"
#include "config/load.h"

namespace buildwarden::config {

std::string describe(const Loaded& loaded) {
  std::size_t key_width = 0;
  std::size_t value_width = 0;
  for (const auto& value : loaded.values) {
    key_width = std::max(key_width, value.key.size());
    // A long list must not push the others' source off the screen.
    if (value.value.size() <= 48) value_width = std::max(value_width, value.value.size());
  }
  std::string text;
  for (const auto& value : loaded.values) {
    text += format("{:<{}}  {:<{}}  {}", value.key, key_width, value.value, value_width, value.source);
    text += value.location.empty() ? "\n" : format(" ({})\n", value.location);
  }
  for (const auto& warning : loaded.warnings) text += format("warning: {}\n", warning);
  return text;
}

std::string describe_json(const Loaded& loaded) {
  boost::json::array settings;
  for (const auto& value : loaded.values) {
    boost::json::object row;
    row["key"] = value.key;
    row["value"] = as_utf8(value.value);
    row["source"] = value.source;
    row["location"] = as_utf8(value.location);
    if (!value.after_restart.empty()) row["after_restart"] = value.after_restart;
    settings.emplace_back(std::move(row));
  }
  boost::json::array warnings;
  for (const auto& warning : loaded.warnings) warnings.emplace_back(as_utf8(warning));
  boost::json::object root;
  root["settings"] = std::move(settings);
  root["warnings"] = std::move(warnings);
  return boost::json::serialize(root);
}

}  // namespace buildwarden::config
