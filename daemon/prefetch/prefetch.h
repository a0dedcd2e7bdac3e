// Brings the configured images onto the host and into the warm builders, one at a time, when there is room for them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "common/clock.h"
#include "common/jitter.h"
#include "common/loop_timer.h"
#include "config/settings.h"
#include "daemon/policy/prefetch.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/prefetch.h"
#include "daemon/ports/worth.h"

namespace buildwarden::prefetch {

// On the loop's thread alone. Must outlive run(), which ends promptly after stop(); a pull that the engine or a builder
// is at then goes on there.
class Prefetch final : public ports::PrefetchViews {
 public:
  // All outlive it.
  struct Parts {
    const Settings& settings;
    const ports::EngineState& engine;
    ports::Images& images;
    ports::ImageSource& source;
    ports::BuilderImages& builder_images;
    const ports::BuilderViews& builders;
    const ports::DiskViews& disk;
    ports::Journal& journal;
    const Clock& clock;
    Jitter jitter = random_jitter();
    ports::CostLearner* costs = nullptr;  // told what a pull took; nothing: nobody wants to know
  };
  explicit Prefetch(Parts parts);

  // One turn: fetches one image, or notes what it waits for. The answer: how long until the next.
  boost::asio::awaitable<Duration> turn();
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }
  // The configuration changed: the next turn comes at once.
  void look_now() { loop_timer_.wake(); }

  // Images of the engine that a builder's seed names, worth most first; those of another seed come behind them. At most
  // seeds.images of them all are fetched.
  void fetch_for_seed(const std::vector<std::string>& images);

  [[nodiscard]] ports::PrefetchView prefetch_view() const override;
  // The reference that the engine pulls for us, or has done a moment ago, whose event may be under way yet; "" for
  // none. That pull is nobody's use of the image.
  [[nodiscard]] std::string pulling() const;

 private:
  boost::asio::awaitable<void> loop();
  boost::asio::awaitable<void> fetch(policy::PrefetchItem item);
  // The rule that it is there by: "present", "pulled".
  ports::Async<std::string> bring(std::string image, std::string builder);
  [[nodiscard]] policy::PrefetchFacts facts() const;
  void keep(const policy::PrefetchItem& item);
  void record_fetch(const policy::PrefetchItem& item, const std::string& rule, Duration took, Now now);
  void record_wait(const policy::PrefetchPlan& plan);
  void record_would(const policy::PrefetchPlan& plan);

  LoopTimer loop_timer_;
  Parts parts_;
  Now started_;
  std::vector<std::string> seed_images_;
  std::string engine_;  // whose images the items speak of
  policy::PrefetchPlan plan_;
  std::string announced_;  // the rule of the wait, or in a dry run the plan, that was recorded last
  std::string pulling_;
  std::optional<BootTime> pulled_at_;
};

}  // namespace buildwarden::prefetch
