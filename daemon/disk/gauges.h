// All watched filesystems: measured on demand, grouped anew at every measurement.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/disk/gauge.h"
#include "daemon/disk/sampler.h"
#include "daemon/disk/watched.h"

namespace buildwarden::disk {

// One filesystem as the reclaimer measures it.
struct Measured : ports::Place {
  std::string filesystem;  // which it is: another disk at the same place, or at another, has another name
  bool gate = false;
  policy::Marks marks;
  policy::Level level = policy::Level::kUnknown;  // of the last turn of the watch
  bool wants_reclaim = false;                     // the same
  Bytes ballast = 0;                              // held in reserve
  std::optional<policy::Reading> reading;         // of now; nothing when it could not be read
};

// One filesystem for whoever keeps something on it. Points into the gauges: good until they measure again.
struct Site {
  std::string name;  // of this filesystem as long as it is watched
  FilesystemKey key;
  const ports::FilesystemView* view = nullptr;
  const MountEntry* mount = nullptr;  // see home_of(); nullptr without one
};

// The reclaimer's eyes.
class Meter {
 public:
  virtual ~Meter() = default;
  virtual boost::asio::awaitable<std::vector<Measured>> measure() = 0;
};

// Must outlive its coroutines; used on the loop only.
class Gauges final : public Meter {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    Sampler& sampler;
    std::function<EngineHome()> home;  // the engine's, now
  };
  explicit Gauges(Parts parts);

  // Measures the filesystems whose time has come (all of them with `every`) and assesses each.
  boost::asio::awaitable<void> observe(bool every);
  // Fresh numbers for all; levels and histories are left to observe().
  boost::asio::awaitable<std::vector<Measured>> measure() override;

  // What changed in observe() since the last call.
  std::vector<LevelChange> take_changes();
  // The mistakes of marks that came or went since the last call.
  std::vector<MarksMistake> take_mistakes();
  [[nodiscard]] BootTime next_due() const;
  [[nodiscard]] std::vector<ports::FilesystemView> views() const;
  [[nodiscard]] std::vector<Measured> last() const;
  // Those that answered once at least.
  [[nodiscard]] std::vector<Site> sites() const;
  [[nodiscard]] const std::vector<MountEntry>& mounts() const { return parts_.sampler.mounts(); }
  void show_ballast(const std::string& name, ports::BallastView ballast);
  void forget_history(const std::string& name);
  // The engine's data root lies on it.
  [[nodiscard]] static bool engine_owned(const ports::FilesystemView& view);

 private:
  using Folders = std::vector<WatchedFolder>;
  [[nodiscard]] std::vector<std::string> due_paths(const Folders& folders, Now now, bool every) const;
  void place(const Folders& folders, const std::vector<Sample>& samples);
  void regroup(const Folders& folders);
  void assess(const std::vector<Sample>& samples, Now now);

  Parts parts_;
  std::map<std::string, std::string> gauge_of_;  // path → gauge; "none <path>" when its filesystem is not known
  std::map<std::string, Gauge> gauges_;
};

}  // namespace buildwarden::disk
