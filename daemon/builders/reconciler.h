// Keeps the configured builders warm: looks at each, lets policy decide, does it, looks again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/builders/builder.h"
#include "daemon/builders/handout.h"
#include "daemon/builders/images.h"
#include "daemon/builders/observer.h"
#include "daemon/builders/step_executor.h"
#include "daemon/builders/worker_facts.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/health.h"
#include "daemon/ports/journal.h"

namespace buildwarden::builders {

struct ReconcilerSettings {
  std::vector<BuilderSettings> builders;
  PathSettings paths;
  gid_t agent_group = 0;                              // may use the builders' sockets
  bool userns_remap = false;                          // configured; the engine's own word counts too
  bool dry_run = false;                               // shows what it would do and touches nothing
  Duration engine_settles = std::chrono::seconds{2};  // a new engine is left alone for that long
  Jitter jitter = random_jitter();
};

// All of them outlive the reconciler.
struct ReconcilerPorts {
  ports::EngineState& engine;
  ports::EngineEvents& events;
  ports::Containers& containers;
  ports::ContainerControl& control;
  ports::Images& images;
  ports::ImageSource& source;
  ports::Journal& journal;
  const Clock& clock;
  const Handout& handout;
  WorkerPool& files;
  // The size of a builder's cache as last measured; may be empty.
  std::function<std::optional<Bytes>(const std::string& builder)> cache_bytes{};
  // What its BuildKit said of itself; may be empty.
  std::function<WorkerFacts(const std::string& builder)> facts{};
  // Why a builder's container is not to be created yet, "" when it may be; may be empty.
  std::function<std::string(const std::string& builder)> awaited{};
  // Whether its container is paused on purpose, and nobody is to touch or ask it; may be empty.
  std::function<bool(const std::string& builder)> held{};
};

// On the loop's thread alone. It listens to the engine's events from its construction on and cannot stop listening, so
// it lives until these have ended; its coroutines must have ended too (stop(), then run the loop until they have).
class Reconciler final : public ports::BuilderViews, public ports::BuilderControl, public ports::InUse {
 public:
  Reconciler(boost::asio::any_io_executor executor, ReconcilerSettings settings, ReconcilerPorts ports);

  // One loop a builder, so that a slow pull for one does not keep another from being healed. Returns at once.
  void start();
  // Ends the loops promptly, also within a long request to the engine. Containers stay as they are.
  void stop();

  // Another configuration from now on. A builder whose settings differ takes them at its next turn: made anew on the
  // same volume, once it is idle. A further one is begun. One that is not named any more, and the front of an alias
  // that is not, are let go of: the containers stay as they are, and the journal says so.
  void reconfigure(const std::vector<BuilderSettings>& builders, bool userns_remap, bool dry_run);

  // Something that the functions of the ports tell of a builder has changed: its next turn comes at once.
  void look_now(const std::string& builder);
  // The number of a volume that it never used. kNotFound: no such builder; kUnavailable: its volumes are not known yet.
  [[nodiscard]] Result<int> fresh_volume(const std::string& builder) const;
  // From its next idle moment on it is on that volume; where it ends there again and again, it goes back.
  void use_volume(const std::string& builder, int volume);

  // One turn for one builder: observe, decide, act, record. How long until the next, at the latest. kNotFound: no such
  // builder.
  ports::Async<Duration> turn(std::string builder);
  // An engine event, as the listener is told it; returns at once.
  void on_engine_event(const ports::EngineEvent& event);

  ports::Async<ports::Recreated> recreate(ports::Recreation request, ports::Progress progress) override;

  [[nodiscard]] ports::BuildersView builders_view() const override;
  // Builder images and containers, of all configured builders, whether they are there or not.
  [[nodiscard]] ports::InUseSet now() const override;
  // Why a job is not to be given that builder now: it does not answer, or cannot be made; "" when it is. One that is on
  // its way, for half a minute, is given, since buildx waits for its socket. From memory, and the state of one process;
  // a builder that was not asked for some seconds is asked behind it.
  [[nodiscard]] std::string why_withheld(const std::string& builder);
  // Each builder that is not warm, with the reason.
  [[nodiscard]] std::vector<ports::NotReady> not_ready() const;

 private:
  void begin(Builder* builder);
  boost::asio::awaitable<void> keep(Builder* builder);
  boost::asio::awaitable<Duration> one_turn(Builder* builder);
  boost::asio::awaitable<Duration> act_on(Builder* builder, policy::BuilderPlan plan, Observation seen);
  boost::asio::awaitable<Duration> take_steps(Builder* builder, policy::BuilderPlan plan, Observation seen);
  // `asked`: buildkitd was asked who builds on it. True: there is nothing else to do in this turn.
  bool answer_request(Builder& builder, const policy::BuilderPlan& plan, bool asked);
  [[nodiscard]] Builder* find(const std::string& name) const;
  ports::Async<std::vector<std::string>> ask_for(Builder* builder, std::shared_ptr<RecreateRequest> asked);
  ports::Async<void> wait_until_warm(std::string builder);
  [[nodiscard]] policy::BuilderPlan decide(const Builder& builder, const Observation& seen, Now now) const;
  [[nodiscard]] Result<policy::DesiredBuilder> desired(const Builder& builder, const Observation& seen) const;
  [[nodiscard]] HostFacts host(const Builder& builder) const;
  void wake(Builder& builder);
  void let_go_of_others(const std::vector<BuilderSettings>& wanted);
  void take_settings(Builder& builder);
  void record_let_go(const std::string& builder, const std::string& container);
  void on_connected();

  boost::asio::any_io_executor executor_;
  ReconcilerSettings settings_;
  ReconcilerPorts ports_;
  ImageProvider provider_;
  Observer observer_;
  StepExecutor steps_;
  std::vector<std::unique_ptr<Builder>> builders_;
  std::vector<std::unique_ptr<Builder>> let_go_;  // their loops may not have ended yet
  bool started_ = false;
  bool stopping_ = false;
};

}  // namespace buildwarden::builders
