// Seeds of all builders: who asks for one is led to it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/units.h"
#include "daemon/ports/seeds.h"
#include "daemon/seeds/builder_seed.h"

namespace buildwarden::seeds {

// On the loop's thread alone. Must outlive what it started: stop(), then run the loop until that has ended.
class Seeds final : public ports::SeedViews, public ports::SeedControl {
 public:
  Seeds(boost::asio::any_io_executor executor, SeedParts parts);

  // One loop a builder. Returns at once.
  void start();
  void stop();
  // After stop(): no container is paused any more, or a second is over.
  boost::asio::awaitable<void> released();
  // The settings changed: further builders are begun, and all look at once.
  void reconfigure();

  // As BuilderSeed has them; of a builder that is not configured nothing is awaited or held.
  [[nodiscard]] std::string awaited(const std::string& builder) const;
  [[nodiscard]] bool holds(const std::string& builder) const;
  bool give_up(const std::string& builder);
  // Waits until the builder's first start is decided, as long as a restore may take; tells how far it is.
  boost::asio::awaitable<void> wait_for(std::string builder, ports::Progress progress);
  // A build that is dialled through one of these containers is a job that nobody announced.
  void on_engine_event(const ports::EngineEvent& event);

  [[nodiscard]] ports::SeedsView seeds_view() const override;
  ports::Async<ports::SeedDone> save_seed(ports::SeedRequest request, ports::Progress progress) override;
  ports::Async<ports::SeedDone> restore_seed(ports::SeedRequest request, ports::Progress progress) override;

 private:
  struct One {
    std::string builder;
    std::unique_ptr<BuilderSeed> seed;
  };
  [[nodiscard]] BuilderSeed* find(const std::string& builder) const;
  void add_new();

  boost::asio::any_io_executor executor_;
  SeedParts parts_;
  std::vector<One> all_;  // those of builders that are configured no more stay: they may be at work
  bool started_ = false;
};

}  // namespace buildwarden::seeds
