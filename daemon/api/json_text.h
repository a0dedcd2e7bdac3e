// JSON as it goes to clients.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace buildwarden::api {

// Like boost::json::serialize(), but numbers look as people write them: 0.003 and 1.5, not 3E-3 and 1.5E0. Only what
// is below 1e-9 or not below 1e17 has an exponent; what JSON cannot say (infinite, no number) is null.
std::string json_text(const boost::json::value& value);

}  // namespace buildwarden::api
