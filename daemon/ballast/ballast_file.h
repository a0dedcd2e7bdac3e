// The ballast as a file: found, made, cut and given back, each beneath a folder that is ours alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/policy/ballast.h"
#include "daemon/policy/freed_space.h"
#include "daemon/ports/filesystems.h"

namespace buildwarden::disk {

// A folder on the filesystem.
struct BallastPlace {
  std::string folder;
  bool shared = true;  // not ours: the ballast lies in a hidden folder in it, which only its owner can enter
};

struct BallastWork {
  ports::FilesystemKey key;                            // whatever lies on another filesystem now is left alone
  std::vector<BallastPlace> places;                    // where it may lie; made in the first that there is
  policy::BallastAct act = policy::BallastAct::kKeep;  // keep: only looked at
  Bytes size = 0;                                      // kMake, kShrink
  Bytes floor = 0;                                     // kMake: what must be free afterwards
};

struct BallastDone {
  Bytes held = 0;              // what lies there now
  policy::FreedSpace freed{};  // by f_bfree; when it was made, what was taken
  Bytes free = 0;              // f_bavail after
};

// May block for ever (a frozen or hung filesystem). Recognised are only regular files of our own name, owner and
// extended attribute, with one link; nothing else is ever opened for writing, cut or deleted (kConflict). To a place
// only links of root's lead (resolve_folder()), and none below it; it is opened once, and all happens by that
// descriptor. kDenied: read-only; kInvalid: the filesystem gives no real blocks in advance, and never will; kConflict
// for kMake also: not enough is free any more. A failed kMake leaves what was there before.
Result<BallastDone> work_on_ballast(const BallastWork& work);

using BallastHand = std::function<Result<BallastDone>(const BallastWork&)>;

}  // namespace buildwarden::disk
