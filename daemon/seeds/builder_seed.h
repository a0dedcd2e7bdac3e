// The seed of one builder: restored before its first start, saved while nobody uses it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "common/clock.h"
#include "common/jitter.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/policy/seed.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/seeds.h"
#include "daemon/ports/worth.h"
#include "daemon/seeds/helper.h"

namespace buildwarden::seeds {

// All outlive the room.
struct SeedParts {
  const Settings& settings;
  const Clock& clock;
  ports::Journal& journal;
  WorkerPool& workers;  // for looks at volumes
  ports::EngineState& engine;
  ports::Containers& containers;
  ports::ContainerControl& control;
  ports::ContainerOutput& output;
  ports::Images& images;
  ports::NewVolumes& volumes;
  const ports::BuilderViews& builders;
  const ports::DiskViews& disk;
  // Deletes what a builder remembers of its builds.
  std::function<ports::Async<void>(std::string builder)> forget_builds;
  // Looks at the builder anew: its first start is decided, or its container runs again.
  std::function<void(const std::string& builder)> wake_builder;
  // The number of a volume that the builder never used (policy::volume_of), and that it moves to one, once it is idle.
  std::function<Result<int>(const std::string& builder)> fresh_volume;
  std::function<void(const std::string& builder, int volume)> use_volume;
  // Brings the builder's cache down to a size, what is worth least first; one sentence says what went.
  std::function<ports::Async<std::string>(std::string builder, Bytes most)> bring_down;
  const ports::LearnedWorth* worth = nullptr;  // of the engine's images; nothing: none is listed
  // Images of the engine that the seed names with which a builder begins.
  std::function<void(const std::vector<std::string>& images)> fetch_images;
  std::function<bool()> draining;     // the instance ends
  std::function<std::string()> self;  // the instance's id, or the host's name
  // A restore or a save is over: "restore" or "save"; "done", "none", "refused", "failed", "given_up".
  std::function<void(const std::string& builder, const std::string& operation, const std::string& result, Duration)>
      finished;
  Jitter jitter = random_jitter();
  RunProgram run = [](ProgramCall call, const std::stop_token& stop) { return run_program(std::move(call), stop); };
};

// On the loop's thread alone. Must outlive run(), which ends promptly after stop().
class BuilderSeed {
 public:
  BuilderSeed(std::string builder, const SeedParts& parts);

  boost::asio::awaitable<void> run();
  void stop();
  void look_now() { loop_timer_.wake(); }

  // Why the builder's first container is not to be made yet, with how far it is; "" when it may be.
  [[nodiscard]] std::string awaited() const;
  // Its container is paused by a save, so nobody is to unpause it or to ask it.
  [[nodiscard]] bool holds() const { return holds_; }
  // Somebody wants to build: a save under way is given up. true: the container is paused yet.
  bool give_up();

  [[nodiscard]] ports::SeedView view() const;
  ports::Async<ports::SeedDone> save(ports::SeedRequest request, ports::Progress progress);
  ports::Async<ports::SeedDone> restore(ports::SeedRequest request, ports::Progress progress);

  // One turn, and how long until the next; public for tests.
  boost::asio::awaitable<Duration> turn();

 private:
  enum class Work : std::uint8_t { kNone, kLooking, kRestoring, kSaving };
  struct VolumeLook {
    std::optional<bool> empty;  // or not there
    bool leftover = false;      // of a restore that was killed
  };

  boost::asio::awaitable<void> loop();
  // Before the first start.
  boost::asio::awaitable<void> decide_start();
  boost::asio::awaitable<policy::RestoreFacts> restore_facts(VolumeLook* look);
  boost::asio::awaitable<VolumeLook> look_at_volume(std::string folder);
  boost::asio::awaitable<void> restore_first();
  ports::Async<policy::SeedManifest> fitting_seed(BootTime until);
  ports::Async<std::string> version_of_image(BootTime until);
  ports::Async<void> free_name(std::string container);
  ports::Async<Answer> unpack(policy::SeedManifest manifest, std::string volume, BootTime until);

  // While nobody uses it.
  boost::asio::awaitable<Duration> look_for_save();
  [[nodiscard]] policy::SaveFacts save_facts() const;
  // kUnavailable while it is not known what would be saved.
  Result<Order> order_to_save();
  ports::Async<ports::SeedDone> save_now(bool asked, ports::Progress progress);
  // What was left out of it, one sentence; "" where it is saved as it is.
  ports::Async<std::string> make_fit();
  // Why there are none, in the result's error.
  ports::Async<std::vector<std::string>> images_for_seed();
  ports::Async<Answer> publish(policy::SeedManifest manifest, std::string* remark);
  ports::Async<Answer> pack_paused(Order order);
  ports::Async<Answer> order(Order wanted, Duration patience);
  // Whether the thread that waits for orders is free.
  ports::Async<void> await_worker();

  // Of who asks for something while something else is under way.
  [[nodiscard]] Error busy_error() const;
  [[nodiscard]] Order order_for(Task task) const;
  [[nodiscard]] std::string folder_of(const std::string& volume) const;
  [[nodiscard]] std::optional<ports::BuilderView> builder_view() const;
  [[nodiscard]] const BuilderSettings* builder_settings() const;
  [[nodiscard]] bool is_wanted() const;
  [[nodiscard]] policy::SeedHost host(std::string buildkit) const;
  [[nodiscard]] policy::SeedRoom room() const;
  [[nodiscard]] std::string scope() const;
  [[nodiscard]] Duration left_until(BootTime until) const;
  void note_there(const Result<Answer>& seen);
  // A warning where the builder starts cold, or stays unsaved, for a reason that somebody can mend.
  void record(std::string kind, const std::string& rule, std::string reason, const Answer& answer, Duration took);
  void finish(const std::string& operation, const std::string& result, Duration took);

  std::string name_;
  SeedParts parts_;
  // Of its own, since it is kept for minutes: while a container is paused nobody may stand in front of its save.
  WorkerPool order_worker_{1};
  LoopTimer loop_timer_;
  Work work_ = Work::kNone;
  bool holds_ = false;
  bool given_up_ = false;    // by the save that is under way, or was last: a job came
  std::string decided_for_;  // the engine for whose volumes the first start is decided; "": not decided
  std::string rule_ = "undecided";
  std::string reason_ = "not looked at yet";
  std::string restored_from_;
  std::string usual_snapshotter_;  // that BuildKit chooses on the volumes' filesystem; "": not known
  std::shared_ptr<ProgressCount> progress_ = std::make_shared<ProgressCount>();
  std::stop_source stop_;  // of the order that is under way
  std::optional<policy::SeedManifest> there_;
  std::optional<WallTime> asked_at_;
  std::optional<BootTime> ask_at_;  // when the location is asked again about the seed's age
  std::optional<BootTime> idle_since_;
};

}  // namespace buildwarden::seeds
