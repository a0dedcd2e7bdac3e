// An event's fields as text, and back.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/ports/journal.h"

namespace buildwarden::state {

using Fields = std::vector<std::pair<std::string, ports::Field>>;

// In order and with their types; a number that is not finite becomes null.
std::string write_fields(const Fields& fields);
// What is not understood is left out.
Fields read_fields(std::string_view text);

}  // namespace buildwarden::state
