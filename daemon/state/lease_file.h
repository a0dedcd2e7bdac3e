// The leases in one small file of paths.run: a tmpfs, so it outlives the daemon and works on a full disk.
#pragma once

#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/journal.h"
#include "daemon/state/boot_id.h"

namespace buildwarden::state {

class LeaseFile final : public ports::LeaseStore {
 public:
  struct Places {
    std::string folder;  // paths.run; "leases.json" in it
    std::string boot_id = kBootId;
  };
  LeaseFile(Places places, const Clock& clock, ports::Journal& journal);

  // A file of another boot, of an unknown boot, or a damaged one is set aside, with an event; one that cannot be read
  // is left where it is, with an event.
  ports::LeaseBook load_leases() override;
  Result<void> save_leases(const ports::LeaseBook& book) override;

 private:
  ports::LeaseBook give_up(const std::string& why);
  [[nodiscard]] std::string path() const { return places_.folder + "/leases.json"; }

  Places places_;
  const Clock& clock_;
  ports::Journal& journal_;
};

}  // namespace buildwarden::state
