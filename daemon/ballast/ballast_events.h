// The journal's sentences about what is done about a ballast.
#pragma once

#include <string>

#include "daemon/ballast/ballast_file.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

struct BallastStory {
  const ports::FilesystemSnapshot& filesystem;
  const policy::BallastPlan& plan;  // not kKeep
  Bytes before = 0;                 // what was held
  BallastDone done{};               // of no meaning in a dry run
  Duration took{0};
  bool dry_run = false;
};

// "ballast.made", "ballast.given" or "ballast.removed" (also when it was only cut).
ports::Event ballast_event(const BallastStory& story);
// "ballast.failed"
ports::Event ballast_failed_event(const ports::FilesystemSnapshot& filesystem, const std::string& why,
                                  const std::string& rule);

}  // namespace buildwarden::disk
