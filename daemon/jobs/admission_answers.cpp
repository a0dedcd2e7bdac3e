// The controller's answers: admitted, renewed, refused, ended.
#include <algorithm>

#include "common/format.h"
#include "common/text_list.h"
#include "daemon/jobs/admission.h"
#include "daemon/jobs/admission_controller.h"
#include "daemon/jobs/admission_request.h"
#include "daemon/jobs/fields.h"
#include "daemon/jobs/lease.h"

namespace buildwarden::jobs {
namespace {

std::vector<std::pair<std::string, ports::Field>> fields_of(const ports::Lease& lease,
                                                            const policy::Admission& admission) {
  return {{"job", lease.id},
          {"pipeline", lease.pipeline},
          {"need_bytes", lease.need_bytes},
          {"reserved_bytes", lease.reserved_bytes},
          {"wanted_free_bytes", admission.wanted_free},
          {"mount", admission.mount}};
}

std::string with_note(const std::string& reason, const ports::Grant& grant) {
  return grant.note.empty() ? reason : format("{}; {}", reason, grant.note);
}

ports::JobAnswer another_job(const std::string& id, std::vector<std::string> differs) {
  ports::JobAnswer answer;
  answer.id = id;
  answer.rule = "differs";
  answer.reason = format("job {} runs already, and {} {} not what it was started with", id, join(differs, ", "),
                         differs.size() == 1 ? "is" : "are");
  answer.differs = std::move(differs);
  return answer;
}

// With what the hook at the job's end is to know.
ports::Grant for_job(ports::Grant grant, const JobSettings& settings) {
  if (settings.check_at_end) grant.env["BUILDWARDEN_CHECK_AT_END"] = "true";
  return grant;
}

void record(ports::Journal& journal, const ports::Lease& lease, const policy::Admission& admission) {
  const bool refused = admission.verdict != policy::Verdict::kRun;
  const bool blind = admission.rule == "unknown";
  journal.record({.kind = refused ? "job.refused" : "job.started",
                  .severity = refused || blind ? ports::Severity::kWarning : ports::Severity::kInfo,
                  .reason = format("job {} {}: {}", lease.id, refused ? "is refused" : "runs", admission.reason),
                  .rule = admission.rule,
                  .fields = fields_of(lease, admission)});
}

}  // namespace

void AdmissionController::prolong(ports::Lease& lease) const {
  // Also where jobs.ttl was longer when the job asked.
  const auto ttl = lease.ttl > Duration{0} ? std::min(lease.ttl, settings_.ttl) : settings_.ttl;
  lease.alive = ports_.clock.now().boot;
  lease.expires = lease.alive + ttl;
}

// A lease with a process lasts as long as that.
std::optional<WallTime> AdmissionController::expiry_of(const ports::Lease& lease) const {
  if (lease.pid > 0) return std::nullopt;
  const auto now = ports_.clock.now();
  return now.wall + (lease.expires - now.boot);
}

Result<ports::JobAnswer> AdmissionController::admit(Request* asked, const policy::Admission& admission) {
  auto& lease = asked->lease;
  const auto started = lease.pid_started;
  auto alive = take_pid(lease, asked->request, asked->peer, registry_.processes());
  if (!alive || lease.pid_started != started) {
    return Error(Errc::kCancelled, format("the process {} of job {} ended before there was room", lease.pid, lease.id));
  }
  auto grant = ports_.handout.grant(grant_of(asked->request, settings_));
  if (!grant) return std::move(grant).error();
  ports::JobAnswer answer;
  answer.disk = gating(ports_.disk.disk_view());
  const auto now = ports_.clock.now();
  lease.free_at_start = least_free(answer.disk);
  lease.started_wall = now.wall;
  lease.started = now.boot;
  lease.wrote = now.boot;
  const auto promised = registry_.promised(lease.free_at_start);
  const auto reserved = policy::reservable(gates_of(answer.disk), promised, asked->need());
  lease.reserved_bytes = reserved.bytes;
  lease.reserved_from_all = reserved.from_all;
  prolong(lease);
  answer.id = lease.id;
  answer.admitted = true;
  answer.reason = with_note(admission.reason, *grant);
  if (lease.reserved_bytes < lease.need_bytes) {
    answer.reason += format("; {} of it are reserved", format_bytes(lease.reserved_bytes));
  }
  if (!asked->note.empty()) answer.reason += format("; {}", asked->note);
  answer.rule = admission.rule;
  answer.grant = for_job(*std::move(grant), settings_);
  answer.expires_at = expiry_of(lease);
  record(ports_.journal, lease, admission);
  registry_.count_admitted();
  registry_.put(lease);
  return answer;
}

ports::JobAnswer AdmissionController::refuse(const Request& asked, const policy::Admission& admission) {
  ports::JobAnswer answer;
  answer.id = asked.request.id;
  answer.reason = admission.reason;
  answer.rule = admission.rule;
  answer.disk = gating(ports_.disk.disk_view());
  answer.users = biggest_users(answer.disk, admission.mount);
  answer.hits_all = admission.hits_all;
  if (admission.rule == "not_enough") answer.images_failed = asked.images_failed;
  record(ports_.journal, asked.lease, admission);
  registry_.count_refused();
  return answer;
}

Result<ports::JobAnswer> AdmissionController::renew(const ports::JobRequest& request, ports::Lease lease,
                                                    const ports::Peer& peer) {
  if (!may_change(peer, lease.uid)) {
    return Error(Errc::kDenied, format("job {} was started by user {}", lease.id, lease.uid));
  }
  if (auto differs = differing_fields(request, lease); !differs.empty())
    return another_job(lease.id, std::move(differs));
  auto taken = take_pid(lease, request, peer, registry_.processes());
  if (!taken) return std::move(taken).error();
  auto grant = ports_.handout.grant(grant_of(request, settings_));
  if (!grant) return std::move(grant).error();
  if (request.ttl) lease.ttl = *request.ttl;
  lease.builders = held_builders(request);
  auto answer = renewed(std::move(lease));
  answer.reason = with_note(answer.reason, *grant);
  answer.grant = for_job(*std::move(grant), settings_);
  return answer;
}

ports::Async<ports::JobAnswer> AdmissionController::renew_job(std::string id, ports::Peer peer) {
  const auto* known = registry_.find(id);
  if (known == nullptr) co_return Error(Errc::kNotFound, format("no job \"{}\" is known", id));
  if (!may_change(peer, known->uid)) {
    co_return Error(Errc::kDenied, format("job {} was started by user {}", id, known->uid));
  }
  auto answer = renewed(*known);
  co_await registry_.saved();
  co_return answer;
}

ports::JobAnswer AdmissionController::renewed(ports::Lease lease) {
  prolong(lease);
  ports::JobAnswer answer;
  answer.id = lease.id;
  answer.admitted = true;
  answer.known_before = true;
  answer.reason = format("job {} runs already and is renewed", lease.id);
  answer.rule = "renewed";
  answer.disk = gating(ports_.disk.disk_view());
  answer.expires_at = expiry_of(lease);
  registry_.put(std::move(lease));
  return answer;
}

ports::Async<void> AdmissionController::end_job(std::string id, ports::Peer peer) {
  auto ended = end_now(id, peer);
  if (ended) co_await registry_.saved();
  co_return ended;
}

Result<void> AdmissionController::end_now(const std::string& id, const ports::Peer& peer) {
  const auto pending = pending_->find(id);
  const auto* known = registry_.find(id);
  if (known == nullptr && pending == pending_->end()) {
    return Error(Errc::kNotFound, format("no job \"{}\" is known", id));
  }
  const auto owner = known != nullptr ? known->uid : pending->second.uid;
  if (!may_change(peer, owner)) return Error(Errc::kDenied, format("job {} was started by user {}", id, owner));
  if (known != nullptr) {
    registry_.end(id, "ended", "it was ended by its own request");
  } else {
    pending->second.ended = true;
  }
  return {};
}

}  // namespace buildwarden::jobs
