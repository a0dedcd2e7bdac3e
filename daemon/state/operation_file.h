// The long operations in one small file of paths.run: a tmpfs, so it outlives the daemon and works on a full disk.
#pragma once

#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/operations.h"
#include "daemon/state/boot_id.h"

namespace buildwarden::state {

class OperationFile final : public ports::OperationStore {
 public:
  struct Places {
    std::string folder;  // paths.run; "operations.json" in it
    std::string boot_id = kBootId;
  };
  OperationFile(Places places, const Clock& clock, ports::Journal& journal);

  // Those of another boot are nobody's any more. A damaged file is set aside, with an event; one that cannot be read is
  // left where it is, with an event.
  std::vector<ports::StoredOperation> load_operations() override;
  // For whoever runs the daemon alone: results hold what a job was handed out.
  Result<void> save_operations(const std::vector<ports::StoredOperation>& operations) override;

 private:
  [[nodiscard]] std::string path() const { return places_.folder + "/operations.json"; }

  Places places_;
  const Clock& clock_;
  ports::Journal& journal_;
};

}  // namespace buildwarden::state
