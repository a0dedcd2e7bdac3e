// Where jobs come and go: who may, whether there is room, what they are given.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/jobs/agent_lock.h"
#include "daemon/jobs/lease_registry.h"
#include "daemon/policy/admission.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/emulation.h"
#include "daemon/ports/instance.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::jobs {

// All of them outlive the controller.
struct AdmissionPorts {
  const Clock& clock;
  ports::Journal& journal;
  ports::Handout& handout;
  ports::DiskViews& disk;
  ports::Space& space;
  ports::Platforms* platforms = nullptr;     // none: nobody knows of platforms
  AgentLock* agent_lock = nullptr;           // none: nobody deletes what jobs use
  const ports::JobGate* instance = nullptr;  // none: the instance stays
  WorkerPool* processes = nullptr;           // reads of jobs' processes, which may hang; none: nobody looks at them
};

// On the loop's thread alone. Lives until its coroutines have ended: who awaits start_job() sees to that.
class AdmissionController final : public ports::JobAdmissions {
 public:
  AdmissionController(JobSettings settings, LeaseRegistry& registry, AdmissionPorts ports);

  // For jobs that start, and times that are prolonged, from now on.
  void reconfigure(const JobSettings& settings) { settings_ = settings; }

  // Beside what the port says: a known id renews (root, or the uid that started it); kConflict: the same id is being
  // admitted at this moment; kDenied: the peer is not on this host's socket; kCancelled: the job was ended, or its
  // process died, while room was made for it. What is answered is saved.
  ports::Async<ports::JobAnswer> start_job(ports::JobRequest request, ports::Peer peer,
                                           ports::Progress progress) override;
  // A lease with a live process only answers: its time is that process's.
  ports::Async<ports::JobAnswer> renew_job(std::string id, ports::Peer peer) override;
  ports::Async<void> end_job(std::string id, ports::Peer peer) override;

 private:
  struct Pending {
    uid_t uid = 0;
    bool ended = false;  // by end_job, while room is made
  };
  using PendingJobs = std::map<std::string, Pending>;
  struct Request;  // one start_job on its way
  class Entered;

  [[nodiscard]] Result<void> check(const ports::JobRequest& request, const ports::Peer& peer) const;
  [[nodiscard]] Result<ports::Lease> lease_for(const ports::JobRequest& request, const ports::Peer& peer);
  ports::Async<ports::JobAnswer> settle(ports::JobRequest request, ports::Peer peer, ports::Progress progress);
  ports::Async<ports::JobAnswer> find_answer(Request* asked);
  ports::Async<policy::Admission> find_way_in(Request* asked);
  ports::Async<policy::Admission> find_room(Request* asked, BootTime until);
  // Refuses what could not be reached by all that may go. Deletes nothing.
  boost::asio::awaitable<policy::Admission> weigh(Request* asked, policy::Admission admission, BootTime until);
  [[nodiscard]] ports::SpaceRequest space_for(const Request& asked, const policy::Admission& admission,
                                              BootTime until) const;
  Result<ports::JobAnswer> renew(const ports::JobRequest& request, ports::Lease lease, const ports::Peer& peer);
  ports::JobAnswer renewed(ports::Lease lease);
  Result<ports::JobAnswer> admit(Request* asked, const policy::Admission& admission);
  ports::JobAnswer refuse(const Request& asked, const policy::Admission& admission);
  [[nodiscard]] policy::Admission evaluate(const Request& asked, bool room_was_made) const;
  Result<void> end_now(const std::string& id, const ports::Peer& peer);
  // Of an instance that is about to be terminated; nothing: it is not.
  [[nodiscard]] std::optional<policy::Admission> closed() const;
  [[nodiscard]] std::optional<WallTime> expiry_of(const ports::Lease& lease) const;
  void prolong(ports::Lease& lease) const;

  JobSettings settings_;
  LeaseRegistry& registry_;
  AdmissionPorts ports_;
  std::shared_ptr<PendingJobs> pending_ = std::make_shared<PendingJobs>();
};

}  // namespace buildwarden::jobs
