// Drains and terminates the instance when nothing else helps: observes, has the policy decide, acts, records.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/instance/intent.h"
#include "daemon/instance/machine.h"
#include "daemon/policy/termination.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/health.h"
#include "daemon/ports/instance.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/running_jobs.h"

namespace buildwarden::instance {

// Only ask() begins anything: nobody over HTTP can. On the loop's thread alone. Must outlive run(), which ends promptly
// after stop(); an AWS call under way is broken off then, and the next daemon finds out what became of it.
class Termination final : public ports::TerminationViews, public ports::JobGate {
 public:
  // All outlive it.
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    ports::Journal& journal;
    const ports::DiskViews& disk;
    const ports::EngineState& engine;
    ports::RunningJobs& running_jobs;
    policy::TerminationTimes times{};
    std::string boot_id{};  // of this boot; "": not known, then nothing begins
    Machine machine = this_machine();
    std::function<double()> chance{};  // [0, 1); empty: real chance
  };
  explicit Termination(Parts parts);
  ~Termination() override;

  // What the daemon before this one had begun; before run().
  void restore();
  // The ladder's last rung was reached for that filesystem, in earnest and with terminate_instance.
  void ask(const std::string& device);
  // What ask() would come to now; nothing is asked, and nobody outside.
  [[nodiscard]] ports::LastResortView would(const std::string& device);

  // One turn: observes, decides, takes one step at most. Whether it took one: then the next turn follows at once.
  boost::asio::awaitable<bool> turn();
  boost::asio::awaitable<void> run();
  void stop();
  // The configuration changed: the next turn comes at once.
  void look_now();

  [[nodiscard]] ports::TerminationView termination_view() const override;
  [[nodiscard]] std::string refusal() const override;
  [[nodiscard]] std::vector<ports::NotReady> not_ready() const;

 private:
  boost::asio::awaitable<void> loop();
  boost::asio::awaitable<policy::TerminationFacts> observe();
  boost::asio::awaitable<void> observe_others(policy::TerminationFacts* facts);
  [[nodiscard]] policy::TerminationFacts facts_at_hand();
  void take_wishes(const policy::TerminationFacts& facts);
  boost::asio::awaitable<policy::TerminationNews> act(policy::TerminationAction action, bool decrement);
  boost::asio::awaitable<policy::TerminationNews> identify();
  boost::asio::awaitable<policy::TerminationNews> call(policy::TerminationAction action, bool decrement);
  boost::asio::awaitable<policy::TerminationNews> tell_agent(policy::TerminationAction action);
  boost::asio::awaitable<policy::TerminationNews> tell_log();
  policy::TerminationNews forget();
  // The intent as it would be after `plan`; false: it could not be written, so nothing is done.
  bool save(const policy::TerminationPlan& plan);
  void show(const policy::TerminationPlan& plan);
  void record_state(const policy::TerminationPlan& plan);
  void record_step(const policy::TerminationNews& news);
  void record(std::string kind, ports::Severity severity, std::string reason, std::string rule);
  [[nodiscard]] Duration pause() const;
  WorkerPool& worker();

  LoopTimer loop_timer_;
  Parts parts_;
  IntentFile file_;
  OnceOk once_ok_;
  policy::TerminationMemory memory_;
  ports::TerminationView view_;
  std::optional<BootTime> due_;
  std::optional<Identity> identity_;
  std::set<std::string> asked_;  // devices, by ask(), since the last turn
  std::string not_saved_;        // why the intent could not be written, "" = it could
  BootTime began_;
  // What the journal has, so that a failure that goes on is not told again and again.
  std::pair<policy::TerminationState, std::string> told_state_;
  std::string told_trouble_;
  std::pair<policy::TerminationAction, policy::TerminationOutcome> told_outcome_;
  std::unique_ptr<WorkerPool> worker_;  // made when first needed: mostly never
  std::stop_source stop_work_;
};

}  // namespace buildwarden::instance
