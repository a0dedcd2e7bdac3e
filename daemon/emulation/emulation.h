// Keeps the wanted platforms running: looks at the handlers, executes programs, registers what is missing.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "common/async_mutex.h"
#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/policy/emulation.h"
#include "daemon/ports/emulation.h"
#include "daemon/ports/health.h"
#include "daemon/ports/journal.h"

namespace buildwarden::emulation {

// What the room touches of the machine: other ones only for tests.
struct Machine {
  std::function<policy::ObservedEmulation(const std::string& folder)> read;
  std::function<Result<void>(const std::string& folder, const policy::BinfmtEntry& entry)> add;
  std::function<Result<void>(const std::string& folder, const std::string& name)> remove;
  std::function<Result<void>(const std::string& folder)> mount;
  std::function<std::vector<policy::DesiredPlatform>(const std::vector<std::string>& names)> desired;
  // Executes the programs; for a worker. Never fails: what could not be tried is unknown.
  std::function<std::map<std::string, policy::Proof>(const std::vector<std::string>& names,
                                                     const std::stop_token& stop)>
      execute;
};
Machine this_machine();

// On the loop's thread alone. Must outlive run(), which ends promptly after stop().
class Emulation final : public ports::EmulatorViews, public ports::Platforms {
 public:
  // All outlive it.
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    ports::Journal& journal;
    WorkerPool& workers;
    ports::EngineState& engine;
    std::function<ports::Async<void>(std::string image, std::vector<std::string> platforms)> run_image;
    std::function<void()> on_proven;  // a platform runs that did not before
    Machine machine = this_machine();
  };
  explicit Emulation(Parts parts);

  // One turn: compares the handlers; executes when they changed, when an hour has passed, when something waits for
  // repair, and when `execute`; repairs. One at a time.
  boost::asio::awaitable<void> turn(bool execute);
  boost::asio::awaitable<void> run();
  void stop();
  // The engine came (back), or the configuration changed: the next turn executes, and comes at once.
  void look_now();

  [[nodiscard]] ports::EmulatorsView emulators_view() const override;
  ports::Async<void> verify() override;
  boost::asio::awaitable<std::string> await_platforms(std::vector<std::string> names) override;
  // The binfmt image under all names that it may have here, while handlers may come from it: what is deleted would be
  // pulled again, and the stack's own unit pulls it too.
  [[nodiscard]] std::set<std::string> held_images() const;
  // Of what was wanted by name, ran once, or is being repaired in vain.
  [[nodiscard]] std::vector<ports::NotReady> not_ready() const;

 private:
  boost::asio::awaitable<void> loop();
  // `quick`: what takes minutes is left to the next turn, which comes at once.
  boost::asio::awaitable<void> look(bool execute, bool quick);
  boost::asio::awaitable<void> observe();
  boost::asio::awaitable<void> execute();
  boost::asio::awaitable<void> act(bool quick);
  boost::asio::awaitable<void> fetch(std::vector<std::string> platforms);
  void decide();
  [[nodiscard]] bool is_due() const;
  [[nodiscard]] bool is_wanted() const;
  void want();
  void judge_repairs();
  void tell_changes(const std::map<std::string, policy::PlatformState>& before);
  void record(std::string kind, ports::Severity severity, const policy::PlatformStatus& about, std::string reason,
              double seconds);
  void record_would();

  LoopTimer loop_timer_;
  Parts parts_;
  AsyncMutex turns_;
  std::vector<std::string> names_;  // that `wish_` was made of
  policy::EmulationWish wish_;
  policy::ObservedEmulation seen_;
  policy::EmulationPlan plan_;
  std::map<std::string, policy::EmulationStep> tried_;  // repairs of this turn, by platform
  std::map<std::string, std::string> repaired_;         // in this turn: what was wrong
  std::map<std::string, std::string> refused_;          // why the last repair could not be carried out
  std::map<std::string, BootTime> good_at_;             // the last look at which it was well
  std::map<std::string, std::uint64_t> restored_;
  std::optional<BootTime> executed_;
  std::optional<WallTime> executed_at_;
  Duration execution_{0};
  ports::SensorRecord comparisons_;
  ports::SensorRecord executions_;
  std::string mount_trouble_;
  std::string announced_;  // the plan that was recorded last in a dry run
  bool must_execute_ = true;
  bool mount_tried_ = false;
  std::stop_source stop_work_;
};

}  // namespace buildwarden::emulation
