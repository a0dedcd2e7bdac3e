// Long operations as they outlive the daemon.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace buildwarden::ports {

// What was told to a client by its number, so that it may ask again after a restart.
struct StoredOperation {
  std::string id;
  std::string kind;
  uid_t owner = 0;
  Now started{};
  std::optional<Now> finished;  // nothing: it was running
  bool interrupted = false;     // it ended with the daemon that ran it
  int status = 0;               // of the answer, once finished
  std::string content_type;
  std::string body;
};

// In paths.run: they outlive the daemon, not the boot.
class OperationStore {
 public:
  virtual ~OperationStore() = default;
  // Those of this boot, in the order given to save; a damaged file is set aside with an event and reported as empty.
  virtual std::vector<StoredOperation> load_operations() = 0;
  virtual Result<void> save_operations(const std::vector<StoredOperation>& operations) = 0;
};

}  // namespace buildwarden::ports
