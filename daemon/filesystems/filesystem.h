// One filesystem: what was measured last, and what that means.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/filesystems/path_sampler.h"
#include "daemon/filesystems/path_stat.h"
#include "daemon/filesystems/watched_paths.h"
#include "daemon/policy/pressure.h"
#include "daemon/ports/filesystems.h"

namespace buildwarden::disk {

struct LevelChange {
  ports::FilesystemSnapshot filesystem;  // with the new level
  policy::Level from = policy::Level::kUnknown;
};

// Keys of the configuration that a filesystem is too small for; no text: no more.
struct MarksMistake {
  std::string mount;
  std::string text;
};

// Lives as long as one of its folders lies on it; another filesystem gets another one, so no history outlives a mount.
class Filesystem {
 public:
  // Which folders lie on it now, and how the table calls it. The engine's volumes are told only where they lie apart
  // from its data root.
  void assign(const std::string& name, const std::vector<WatchedFolder>& folders);
  // A good answer of any of its folders.
  void take(const Sample& sample, const DiskSettings& settings, Now now);
  // None of its folders could be measured.
  void fail(const std::string& error, Now now);
  // A good answer, for the view only: neither level nor history change.
  void refresh(const Sample& sample);
  // The trend begins anew with the next reading; level and hysteresis stay.
  void forget_history() { memory_.recent.clear(); }
  void show_ballast(ports::BallastView ballast) { snapshot_.ballast = std::move(ballast); }

  [[nodiscard]] const ports::FilesystemSnapshot& snapshot() const { return snapshot_; }
  [[nodiscard]] BootTime due() const { return due_; }
  // Where seconds lie between two readings, a quarter of them does not matter: the loop's waits end on whole ones.
  [[nodiscard]] bool is_due(BootTime now) const;
  [[nodiscard]] bool is_calm() const;
  void set_due(BootTime due) { due_ = due; }
  // The level's change since the last call; the first level counts as one.
  [[nodiscard]] std::optional<LevelChange> take_change();
  // The mistake of its marks when it is another one than at the last call; "" when it was mended.
  [[nodiscard]] std::optional<std::string> take_mistake();

 private:
  void name_mount();
  void assess(const std::optional<policy::Reading>& reading, Now now);

  ports::FilesystemSnapshot snapshot_;
  policy::PressureMemory memory_;
  policy::Level announced_ = policy::Level::kUnknown;
  bool announced_once_ = false;
  std::string announced_mistake_;
  BootTime due_{};
};

}  // namespace buildwarden::disk
