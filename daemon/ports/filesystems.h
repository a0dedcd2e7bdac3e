// The watched filesystems: what is known of each, and who may measure them.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/mounts.h"
#include "common/units.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::ports {

// What the engine keeps somewhere: kImages with its build cache and containers' own files, kVolumes.
enum class Kept : std::uint8_t { kImages, kVolumes };

// Which filesystem: the device number alone comes again when another disk is mounted, the filesystem's own id tells
// them apart.
struct FilesystemKey {
  dev_t device = 0;
  std::uint64_t fsid = 0;
  friend auto operator<=>(const FilesystemKey&, const FilesystemKey&) = default;
};

struct DiskUser {
  // "images", "build_cache", "builder_cache", "checkouts", "git_mirror", "volume", "container_log", "folder"
  std::string kind;
  std::string name;
  Bytes bytes = 0;
  WallTime looked_at{};  // when that was so
};

struct BallastView {
  Bytes bytes = 0;     // held now
  std::string reason;  // why so much, and the rule; "" before the first look
  std::string rule;
};

// One watched filesystem at one moment.
struct FilesystemSnapshot {
  std::string name{};  // which it is: another disk at the same place, or at another, has another name; "" in some tests
  FilesystemKey key;
  std::optional<MountEntry> home{};  // the mount that was measured; nothing where the mount table does not show it
  std::string device;                // "8:1"
  std::string mount;
  std::vector<std::string> paths;  // that are watched on it
  std::vector<std::string> roles;  // "data_root", "containerd", "images", "builds", "configured", "root", …
  std::set<Kept> keeps{};          // of the engine's; nothing while it is not known where that lies
  bool gate = false;
  std::optional<policy::Reading> reading;  // the last good one; of measure(): nothing when it could not be read now
  policy::Marks marks;
  policy::Pressure pressure;  // of the last turn of the disk monitor
  BallastView ballast;
  std::vector<DiskUser> users;
  std::string error;  // of the last reading, "" when it was good
  std::uint64_t readings = 0;
  std::uint64_t failures = 0;
  Duration last_duration{0};

  [[nodiscard]] bool has_role(std::string_view role) const {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
  }
  [[nodiscard]] bool has_path(std::string_view path) const {
    return std::find(paths.begin(), paths.end(), path) != paths.end();
  }
  // Used space that no user accounts for: not Docker's, as far as it is known, and what the filesystem reserves for
  // root. Nothing without a reading.
  [[nodiscard]] std::optional<Bytes> unattributed() const {
    if (!reading) return std::nullopt;
    Bytes rest = reading->total - reading->free - ballast.bytes;
    for (const auto& user : users) rest -= user.bytes;
    return std::max<Bytes>(rest, 0);
  }
};

class FilesystemProbe {
 public:
  virtual ~FilesystemProbe() = default;
  // Fresh numbers of all, within a moment: what does not answer has no reading. Levels stay those of the last turn.
  virtual boost::asio::awaitable<std::vector<FilesystemSnapshot>> measure() = 0;
};

// For who keeps a reserve on them; from memory.
class BallastFilesystems {
 public:
  virtual ~BallastFilesystems() = default;
  // Those that answered once at least.
  [[nodiscard]] virtual std::vector<FilesystemSnapshot> answered() const = 0;
  [[nodiscard]] virtual const std::vector<MountEntry>& mounts() const = 0;
  // By the snapshot's name; one that is not watched any more is passed over.
  virtual void show_ballast(const std::string& name, BallastView ballast) = 0;
  // Its trend begins anew with the next reading; level and hysteresis stay.
  virtual void forget_history(const std::string& name) = 0;
};

}  // namespace buildwarden::ports
