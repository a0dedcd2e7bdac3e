// Which git mirrors of the agent are needed: by checkouts that rest on them, and by jobs that may be about to.
#pragma once

#include <string>
#include <vector>

#include "daemon/ports/engine.h"

namespace buildwarden::ports {

// A checkout, or a submodule in it, reads its objects from elsewhere, too (gitrepository-layout(5), objects/info).
struct BorrowedObjects {
  std::string checkout;  // "web of ci-1", for people
  std::string from;      // the folder as the file names it, of the job's making: for comparing, never for opening
};

struct MirrorUses {
  std::vector<BorrowedObjects> borrowed;
  std::string any_by;  // who may use any mirror, since nobody knows which; "" = nobody
};

class MirrorUsers {
 public:
  virtual ~MirrorUsers() = default;
  // Now. An error (which jobs run is not known, or a checkout cannot be looked at): every mirror may be in use.
  virtual Async<MirrorUses> mirror_uses() = 0;
};

}  // namespace buildwarden::ports
