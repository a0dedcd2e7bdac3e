#include "daemon/jobs/admission_controller.h"

#include <algorithm>

#include "common/format.h"
#include "daemon/jobs/admission.h"
#include "daemon/jobs/admission_request.h"
#include "daemon/jobs/docker_config.h"
#include "daemon/jobs/fields.h"
#include "daemon/jobs/lease.h"

namespace buildwarden::jobs {
namespace {

constexpr int kMostTries = 8;  // at room that others are promised each time

policy::JobToCome to_come(const ports::JobRequest& request) {
  return {request.id, request.agent, request.pipeline, request.checkout_path};
}

}  // namespace

// An id that is being admitted: told apart from a second request of the same id, and forgotten however the request
// ends.
class AdmissionController::Entered {
 public:
  Entered(std::shared_ptr<PendingJobs> jobs, std::string id, uid_t uid) : jobs_(std::move(jobs)), id_(std::move(id)) {
    (*jobs_)[id_] = {.uid = uid};
  }
  ~Entered() { jobs_->erase(id_); }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  std::shared_ptr<PendingJobs>
      jobs_;  // outlives the controller, should the loop be torn down before the request is over
  std::string id_;
};

AdmissionController::AdmissionController(JobSettings settings, LeaseRegistry& registry, AdmissionPorts ports)
    : settings_(settings), registry_(registry), ports_(ports) {}

Result<void> AdmissionController::check(const ports::JobRequest& request, const ports::Peer& peer) const {
  if (!peer.local) return Error(Errc::kDenied, "jobs are started over the unix socket only");
  return check_fields(request, settings_.ttl);
}

// A renewal is saved like a start.
ports::Async<ports::JobAnswer> AdmissionController::start_job(ports::JobRequest request, ports::Peer peer,
                                                              ports::Progress progress) {
  const auto asked = ports_.clock.now().boot;
  auto answer = co_await settle(std::move(request), std::move(peer), std::move(progress));
  const bool is_verdict = answer && !answer->known_before && answer->differs.empty();
  if (is_verdict) registry_.count_wait(answer->admitted, ports_.clock.now().boot - asked);
  if (answer && answer->admitted) co_await registry_.saved();
  co_return answer;
}

Result<ports::Lease> AdmissionController::lease_for(const ports::JobRequest& request, const ports::Peer& peer) {
  if (auto why = registry_.make_place(peer.uid); !why.empty()) return Error(Errc::kUnavailable, std::move(why));
  return lease_of(request, peer, registry_.processes());
}

ports::Async<ports::JobAnswer> AdmissionController::settle(ports::JobRequest request, ports::Peer peer,
                                                           ports::Progress progress) {
  auto checked = check(request, peer);
  if (!checked) co_return std::move(checked).error();
  // Before the first look at what is known: nothing else may come between that and Entered.
  auto wanted = grant_of(request, settings_);
  wanted.progress = progress;
  co_await ports_.handout.prepare(std::move(wanted));
  std::string note;
  if (ports_.platforms != nullptr && !request.platforms.empty()) {
    auto platforms = request.platforms;
    note = co_await ports_.platforms->await_platforms(std::move(platforms));
  }
  std::optional<ports::JobFolder> docker_config;
  if (ports_.processes != nullptr) docker_config = co_await look_for_docker_config(*ports_.processes, peer);
  registry_.end_if_over(request.id);
  if (const auto* known = registry_.find(request.id)) co_return renew(request, *known, peer);
  if (pending_->contains(request.id)) {
    co_return Error(Errc::kConflict, format("job {} is being admitted at this moment", request.id));
  }
  auto lease = lease_for(request, peer);
  if (!lease) co_return std::move(lease).error();
  lease->docker_config = std::move(docker_config);
  // Asked for once in vain, so that room is never made for a request that is wrong.
  auto possible = ports_.handout.grant(grant_of(request, settings_));
  ports_.handout.release(request.id);
  if (!possible) co_return std::move(possible).error();
  const Entered entered(pending_, request.id, peer.uid);
  Request asked;
  asked.note = std::move(note);
  asked.request = std::move(request);
  asked.peer = std::move(peer);
  asked.progress = std::move(progress);
  asked.lease = *std::move(lease);
  co_return co_await find_answer(&asked);
}

ports::Async<ports::JobAnswer> AdmissionController::find_answer(Request* asked) {
  std::shared_ptr<void> announced;
  if (ports_.agent_lock != nullptr) announced = ports_.agent_lock->announce(to_come(asked->request));
  auto admission = co_await find_way_in(asked);
  if (!admission) co_return std::move(admission).error();
  if (pending_->at(asked->request.id).ended) {
    co_return Error(Errc::kCancelled, format("job {} was ended before there was room", asked->request.id));
  }
  if (admission->verdict != policy::Verdict::kRun) co_return refuse(*asked, *admission);
  co_return admit(asked, *admission);
}

// Room, and then the agent's lock. Who waits there is evaluated again: others were promised room meanwhile. After the
// last evaluation nothing is awaited until it is known as a job that runs.
ports::Async<policy::Admission> AdmissionController::find_way_in(Request* asked) {
  const auto until = ports_.clock.now().boot + settings_.admission_wait;
  for (int tries = 0;; ++tries) {
    auto admission = co_await find_room(asked, until);
    const bool runs = admission && admission->verdict == policy::Verdict::kRun;
    if (!runs || ports_.agent_lock == nullptr) co_return std::move(admission);
    auto agent = asked->request.agent;
    const bool passed = co_await ports_.agent_lock->pass(std::move(agent));
    if (!passed) co_return Error(Errc::kCancelled, format("nobody waits for job {} any more", asked->request.id));
    if (auto refused = closed()) co_return *std::move(refused);
    auto evaluated = evaluate(*asked, tries >= kMostTries);
    if (evaluated.verdict != policy::Verdict::kMakeRoom) co_return evaluated;
  }
}

// What was made may be promised to another job before this one is evaluated: then more is asked for, while there is
// time.
ports::Async<policy::Admission> AdmissionController::find_room(Request* asked, BootTime until) {
  if (auto refused = closed()) co_return *std::move(refused);
  co_await ports_.disk.measured_disk_view();
  auto admission = evaluate(*asked, false);
  admission = co_await weigh(asked, std::move(admission), until);
  for (int tries = 0; admission.verdict == policy::Verdict::kMakeRoom; ++tries) {
    auto wanted = space_for(*asked, admission, until);
    auto progress = asked->progress ? asked->progress : [](const std::string&) {};
    progress(format("making room: {}", admission.reason));
    auto made = co_await ports_.space.ensure(std::move(wanted), std::move(progress));
    if (auto refused = closed()) co_return *std::move(refused);
    asked->images_failed = made ? made->images_failed : made.error().message();
    const bool again = made && made->reached && tries < kMostTries && ports_.clock.now().boot < until;
    admission = evaluate(*asked, !again);
    if (!made && admission.verdict == policy::Verdict::kRefuse) {
      admission.reason += format(" (making room failed: {})", made.error().message());
    }
  }
  co_return admission;
}

boost::asio::awaitable<policy::Admission> AdmissionController::weigh(Request* asked, policy::Admission admission,
                                                                     BootTime until) {
  if (!admission.needs_estimate) co_return admission;
  auto wanted = space_for(*asked, admission, until);
  const auto estimate = co_await ports_.space.estimate(std::move(wanted));
  co_return policy::weighed(std::move(admission), estimate);
}

ports::SpaceRequest AdmissionController::space_for(const Request& asked, const policy::Admission& admission,
                                                   BootTime until) const {
  ports::SpaceRequest wanted;
  wanted.free = admission.wanted_free;
  wanted.wait = std::max(Duration{0}, until - ports_.clock.now().boot);
  wanted.on_behalf_of = "job " + asked.request.id;
  wanted.for_job = asked.request.id;
  return wanted;
}

std::optional<policy::Admission> AdmissionController::closed() const {
  auto why = ports_.instance == nullptr ? std::string() : ports_.instance->refusal();
  if (why.empty()) return std::nullopt;
  policy::Admission refused;
  refused.verdict = policy::Verdict::kRefuse;
  refused.reason = std::move(why);
  refused.rule = "terminating";
  refused.hits_all = true;
  return refused;
}

policy::Admission AdmissionController::evaluate(const Request& asked, bool room_was_made) const {
  const auto filesystems = gating(ports_.disk.disk_view());
  const auto promised = registry_.promised(least_free(filesystems));
  return policy::admit(gates_of(filesystems), promised, asked.need(), room_was_made);
}

}  // namespace buildwarden::jobs
