// Rung 8: checkouts that no job uses.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/deletion_root.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/evictors/checkout_removal.h"
#include "daemon/evictors/checkout_scan.h"
#include "daemon/evictors/checkout_sizes.h"
#include "daemon/policy/worth_inputs.h"
#include "daemon/ports/agent_locks.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/running_jobs.h"

namespace buildwarden::disk {

// Each <builds>/<agent>/<org>/<pipeline> is a candidate of its own, only with on_full.purge_builds. In use is what
// policy::judge_checkout says, asked for the plan and again for each, while the agent's jobs are held back; what is not
// known is in use. A job's word never makes a path: names are read from the builds folder alone. That is a
// DeletionRoot, from the list until forget_list(): where somebody else could exchange it, the list is one protected
// candidate.
class Checkouts final : public ports::Evictor {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    WorkerPool& workers;
    ports::Journal& journal;
    ports::RunningJobs& running_jobs;
    const ports::EndedJobs& ended;
    ports::AgentLocks& locks;
    CheckoutSizes& sizes;
    // Whether the wall clock can be trusted for the grace; while it cannot, everything is young.
    std::function<bool()> clock_is_steady;
    // Jobs that have ended and left their room to the next one: no age keeps what their agents have.
    std::function<std::vector<policy::JobToCome>()> given_up = [] { return std::vector<policy::JobToCome>(); };
    // As own pulls showed them: how fast what is cloned again may come.
    std::function<policy::PullRates()> rates = [] { return policy::PullRates(); };
  };
  explicit Checkouts(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kCheckouts; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override;
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override;
  // A look or a removal that runs ends within moments; what is left of it lies in the trash, for rung 1.
  void stop() { stop_.request_stop(); }

 private:
  struct Seen {
    std::shared_ptr<DeletionRoot> builds;
    std::string refused;  // why nothing may be deleted there; "" when it may
    std::vector<FoundCheckout> found;
    std::vector<std::string> in_parts;         // as CheckoutsSeen has it
    std::map<std::string, std::string> users;  // by path
    std::vector<policy::JobOnHost> running;
    std::vector<policy::JobToCome> to_come;
  };
  ports::Async<std::vector<policy::Candidate>> list_checkouts(std::string for_job);
  ports::Async<ports::EvictionResult> evict_planned(policy::Candidate candidate);
  // Out of the way, with nobody's job let in meanwhile.
  ports::Async<std::shared_ptr<Thrown>> throw_away(const FoundCheckout& found);
  ports::Async<ports::EvictionResult> remove(FoundCheckout found, std::shared_ptr<Thrown> thrown);
  ports::Async<std::vector<policy::JobOnHost>> running();
  [[nodiscard]] policy::Candidate candidate_of(const Seen& seen, const FoundCheckout& found) const;
  // On a worker: what is there and who uses it.
  static Result<Seen> look(const std::string& path, const std::vector<ports::EndedJob>& ended);
  // Stands for all checkouts, so that a plan shows why none goes.
  [[nodiscard]] policy::Candidate refused_candidate(const std::string& why) const;
  void record_kept(const std::vector<policy::Candidate>& candidates);
  // Once, as long as it is so.
  void record_in_parts(const std::vector<std::string>& in_parts);

  Parts parts_;
  std::shared_ptr<DeletionRoot> builds_;          // of the last list
  std::map<std::string, FoundCheckout> planned_;  // by path
  std::string in_parts_;                          // of the last look
  std::string kept_;                              // what was recorded last
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
