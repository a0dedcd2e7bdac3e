// All watched filesystems: measured on demand, grouped anew at every measurement.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/filesystems/filesystem.h"
#include "daemon/filesystems/path_sampler.h"
#include "daemon/filesystems/watched_paths.h"

namespace buildwarden::disk {

// Must outlive its coroutines; used on the loop only.
class FilesystemTable final : public ports::FilesystemProbe, public ports::BallastFilesystems {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    PathSampler& sampler;
    std::function<EngineHome()> home;  // the engine's, now
  };
  explicit FilesystemTable(Parts parts);

  // Measures the filesystems whose time has come (all of them with `every`) and assesses each.
  boost::asio::awaitable<void> observe(bool every);
  // Fresh numbers for all; levels and histories are left to observe().
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override;

  // What changed in observe() since the last call.
  std::vector<LevelChange> take_changes();
  // The mistakes of marks that came or went since the last call.
  std::vector<MarksMistake> take_mistakes();
  [[nodiscard]] BootTime next_due() const;
  // All of them, from memory.
  [[nodiscard]] std::vector<ports::FilesystemSnapshot> snapshots() const;
  [[nodiscard]] std::vector<ports::FilesystemSnapshot> answered() const override;
  [[nodiscard]] const std::vector<MountEntry>& mounts() const override { return parts_.sampler.mounts(); }
  void show_ballast(const std::string& name, ports::BallastView ballast) override;
  void forget_history(const std::string& name) override;
  // The engine's data root lies on it.
  [[nodiscard]] static bool engine_owned(const ports::FilesystemSnapshot& filesystem);

 private:
  using Folders = std::vector<WatchedFolder>;
  [[nodiscard]] std::vector<std::string> due_paths(const Folders& folders, Now now, bool every) const;
  void place(const Folders& folders, const std::vector<Sample>& samples);
  void regroup(const Folders& folders);
  void assess(const std::vector<Sample>& samples, Now now);

  Parts parts_;
  std::map<std::string, std::string>
      filesystem_of_;  // path → filesystem; "none <path>" when its filesystem is not known
  std::map<std::string, Filesystem> filesystems_;
};

}  // namespace buildwarden::disk
