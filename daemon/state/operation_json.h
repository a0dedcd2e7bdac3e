// Operations as text, and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/ports/operations.h"

namespace buildwarden::state {

struct OperationDocument {
  std::string boot_id;
  std::vector<ports::StoredOperation> operations;
};

std::string write_operations(const OperationDocument& document);
// kInvalid for anything but a whole document of this version.
Result<OperationDocument> read_operations(std::string_view text);

}  // namespace buildwarden::state
