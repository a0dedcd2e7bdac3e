// Leases as text, and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::state {

struct LeaseDocument {
  std::string boot_id;
  ports::LeaseBook book;
};

std::string write_leases(const LeaseDocument& document);
// kInvalid for anything but a whole document of this version.
Result<LeaseDocument> read_leases(std::string_view text);

}  // namespace buildwarden::state
