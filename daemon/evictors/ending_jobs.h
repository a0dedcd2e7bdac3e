// Jobs at their end whose checkouts hold the room that the next job needs.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/async_mutex.h"
#include "common/clock.h"
#include "common/deletion_root.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/evictors/checkout_scan.h"
#include "daemon/policy/checkouts.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/ending_jobs.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/running_jobs.h"

namespace buildwarden::disk {

// A job that asks at its end is not over yet: its bootstrap lives, and works in its checkout. The stack deletes that
// under it; here it goes a moment later. What was promised is forgotten when the daemon ends: the next job's admission
// or the background then makes the room. Used on the loop only.
class EndingJobs final : public ports::EndingJobs {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    WorkerPool& workers;
    ports::Journal& journal;
    ports::RunningJobs& running_jobs;
    ports::DiskViews& disks;
    ports::Space& space;
  };
  explicit EndingJobs(Parts parts) : parts_(parts) {}

  ports::Async<ports::RoomAtEnd> give_up(std::string job) override;

  // The jobs that have ended since: no age keeps what their agents left.
  [[nodiscard]] std::vector<policy::JobToCome> given_up() const;

  // One turn: when a job that was promised something has ended, room is made. One that still runs after half an hour is
  // forgotten: its end is nobody's business any more.
  boost::asio::awaitable<void> turn();
  // Turns until stop(), which also ends a look within moments.
  boost::asio::awaitable<void> run() { return loop_timer_.run(loop()); }
  void stop();

 private:
  struct Promised {
    std::string job;
    std::string agent;
    BootTime at;
    bool ended = false;
  };
  // What goes at the end of a job.
  struct Kept {
    std::string agent;  // the job's; "" when nothing of that job runs
    std::shared_ptr<DeletionRoot> builds;
    std::string refused;  // why nothing may be deleted there; "" when it may
    std::vector<FoundCheckout> checkouts;
  };
  static Result<Kept> look(const std::string& builds, const std::string& job,
                           const std::vector<policy::JobOnHost>& running);
  static policy::HeldAtEnd measure(const Kept& kept, const std::stop_token& stop);
  ports::Async<Kept> kept_by(std::string job);
  boost::asio::awaitable<policy::HeldAtEnd> held_by(Kept kept);
  boost::asio::awaitable<bool> is_enough(policy::HeldAtEnd held);
  // Why none of its checkouts goes; "" when they do.
  [[nodiscard]] std::string why_none(const std::string& job, const Kept& kept) const;
  void promise(const std::string& job, const std::string& agent, const std::string& reason);
  void note_ends(const std::vector<ports::RunningJob>& running);
  [[nodiscard]] std::string ended_names() const;
  boost::asio::awaitable<void> loop();

  Parts parts_;
  std::vector<Promised> promised_;
  AsyncMutex mutex_;
  LoopTimer loop_timer_;
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
