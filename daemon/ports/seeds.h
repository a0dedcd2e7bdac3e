// Seeds of builders as the API and metrics see them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/policy/seed.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"

namespace buildwarden::ports {

struct SeedView {
  std::string builder;
  // "off", "undecided" (before the first start), "looking", "restoring", "saving", "idle"
  std::string state;
  std::string rule;                           // of what was decided last
  std::string reason;                         // one sentence
  Bytes done = 0;                             // of what is being restored or saved
  Bytes of = 0;                               // 0: not known
  std::optional<policy::SeedManifest> there;  // what the location had when it was asked last
  std::optional<WallTime> asked_at;           // when that was
  std::optional<Duration> age{};              // of that, now
  std::string refusal;                        // why that is of no use here, "" when it is, or there is none
  std::string restored_from;  // created_at of the seed that this builder began from; "": it began cold, or before us
};

struct SeedsView {
  std::string location;  // "": none
  std::string save;      // "never", "idle", "drain"
  std::vector<SeedView> seeds;
};

class SeedViews {
 public:
  virtual ~SeedViews() = default;
  [[nodiscard]] virtual SeedsView seeds_view() const = 0;
};

struct SeedRequest {
  std::string builder;
  bool dry_run = false;
  std::string on_behalf_of;  // for the journal: "uid 0"
};

struct SeedDone {
  bool dry_run = false;
  Bytes bytes = 0;          // of content
  Bytes archive_bytes = 0;  // of the parts; 0 in a dry run
  std::int64_t entries = 0;
  std::string reason;
  std::string rule;
  Duration took{0};
};

class SeedControl {
 public:
  virtual ~SeedControl() = default;
  // kNotFound: no such builder; kConflict: somebody uses it, a job came, or something is under way; the errors of the
  // location otherwise.
  virtual Async<SeedDone> save_seed(SeedRequest request, Progress progress) = 0;
  // Into a fresh volume, which the builder then moves to once it is idle; the old one is kept. kNotFound: also where
  // there is no seed; kConflict: it does not fit, or something is under way.
  virtual Async<SeedDone> restore_seed(SeedRequest request, Progress progress) = 0;
};

}  // namespace buildwarden::ports
