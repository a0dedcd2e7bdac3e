// Reading the daemon's JSON without trusting its shape: an older or newer daemon must not crash its client.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace buildwarden::cli {

// The member `key` of an object; null when it is not there or `value` is no object.
const boost::json::value& member(const boost::json::value& value, std::string_view key);

// The member as a list; empty when it is none.
const boost::json::array& list(const boost::json::value& value, std::string_view key);

// The member as text ("" when it is none), a number, a truth.
std::string text(const boost::json::value& value, std::string_view key);
std::optional<std::int64_t> number(const boost::json::value& value, std::string_view key);
// The same of a number with a fraction, or without.
std::optional<double> real(const boost::json::value& value, std::string_view key);
bool truth(const boost::json::value& value, std::string_view key);

// The member as a size for people, "-" when it is none.
std::string size(const boost::json::value& value, std::string_view key);

}  // namespace buildwarden::cli
