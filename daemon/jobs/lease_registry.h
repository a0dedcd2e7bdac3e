// The leases: which jobs run, since when, and until when. A fact that other rooms rely on, so it knows none of them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "daemon/jobs/lease_keeper.h"
#include "daemon/jobs/processes.h"
#include "daemon/policy/admission.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/running_jobs.h"

namespace buildwarden::jobs {

// All of them outlive the registry.
struct LeaseRegistryPorts {
  const Clock& clock;
  ports::Journal& journal;
  ports::LeaseStore& store;
  ports::Handout& handout;
};

// On the loop's thread alone. Every change counts at once and is saved soon; a save that fails is an event, and the
// lease counts all the same.
class LeaseRegistry final : public ports::JobViews,
                            public ports::InUse,
                            public ports::LeftFolders,
                            public ports::EndedJobs {
 public:
  LeaseRegistry(boost::asio::any_io_executor executor, LeaseRegistryPorts ports, Processes processes = Processes{});
  ~LeaseRegistry() override;
  LeaseRegistry(const LeaseRegistry&) = delete;
  LeaseRegistry& operator=(const LeaseRegistry&) = delete;

  // Takes over the leases of this boot; those whose process has ended are ended. Once, before anything else.
  void restore();

  // Begins a sweep every few seconds, until stop(). Both return at once.
  void start();
  void stop();
  // One turn: ends the leases whose process is gone (or is another one by now), and those without a process whose time
  // is over. A process that cannot be looked at counts as alive.
  void sweep();
  // The same for one of them; nothing when it is not known.
  void end_if_over(const std::string& id);

  [[nodiscard]] const ports::Lease* find(const std::string& id) const;
  // Makes a place for another job of that user: one that protects nothing any more gives way. Why there is none, ""
  // when there is.
  std::string make_place(uid_t uid);
  // Adds or replaces by id, and watches its process.
  void put(ports::Lease lease);
  // `rule`: "ended", "pid_ended", "expired". Nothing when it is not known.
  void end(const std::string& id, std::string_view rule, const std::string& reason);
  // Until every change before the call is saved; see LeaseKeeper.
  boost::asio::awaitable<void> saved() { return keeper_.saved(); }
  [[nodiscard]] const Processes& processes() const { return processes_; }
  [[nodiscard]] std::vector<ports::Lease> leases() const;

  // Whether any lease has nothing but its word that its job lives.
  [[nodiscard]] bool has_unproven() const;
  // All processes were looked at: those of these jobs were there at `when`.
  void note_processes(const std::set<std::string>& jobs, BootTime when);
  // Those whose jobs are to be reckoned with, see policy::protects().
  [[nodiscard]] std::vector<ports::Lease> protecting() const;

  // What running jobs were promised and have not written yet; notes what they have.
  std::vector<policy::Promise> promised(Bytes free_now);

  // Told of each lease when it begins, is renewed or was restored, and when it is over.
  using JobListener = std::function<void(const ports::Lease& lease, bool is_over)>;
  void on_job(JobListener listener) { listener_ = std::move(listener); }

  void count_admitted() { ++admitted_; }
  void count_refused() { ++refused_; }
  // From the request to the verdict.
  void count_wait(bool admitted, Duration wait) { (admitted ? waits_of_admitted_ : waits_of_refused_).add(wait); }

  [[nodiscard]] ports::JobsView jobs_view() const override;
  // The start of the oldest job that protects anything.
  [[nodiscard]] ports::InUseSet now() const override;
  // The latest 1,000 of this boot.
  [[nodiscard]] std::vector<ports::JobFolder> left_folders() const override;
  void forget_folder(const ports::JobFolder& folder) override;
  [[nodiscard]] std::vector<ports::EndedJob> ended_jobs() const override { return ended_; }

 private:
  class ProcessWatch;
  struct Entry {
    ports::Lease lease;
    std::unique_ptr<ProcessWatch>
        watch;  // none without a pid, or where the kernel has no pidfd: then the sweep finds it
  };

  boost::asio::awaitable<void> keep_sweeping();
  [[nodiscard]] std::unique_ptr<ProcessWatch> watch(const ports::Lease& lease);
  [[nodiscard]] std::optional<std::string> why_over(const ports::Lease& lease, std::string& rule) const;
  [[nodiscard]] bool protects(const ports::Lease& lease) const;
  void keep_folder(const ports::Lease& lease);
  void keep_end(const ports::Lease& lease);
  void save() { keeper_.changed(); }
  void tell(const ports::Lease& lease, bool is_over) const {
    if (listener_) listener_(lease, is_over);
  }

  boost::asio::any_io_executor executor_;
  LeaseRegistryPorts ports_;
  Processes processes_;
  std::map<std::string, Entry> entries_;
  std::vector<ports::JobFolder> left_;  // the oldest first
  std::vector<ports::EndedJob> ended_;  // the same
  BootTime looked_;                     // when all processes were last looked at; the boot: never
  std::uint64_t admitted_ = 0;
  std::uint64_t refused_ = 0;
  ports::JobWaits waits_of_admitted_;
  ports::JobWaits waits_of_refused_;
  JobListener listener_;
  LoopTimer loop_timer_;
  LeaseKeeper keeper_;
};

}  // namespace buildwarden::jobs
