#include "daemon/jobs/lease_registry.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "common/format.h"
#include "common/log.h"
#include "common/tick.h"
#include "daemon/jobs/admission.h"
#include "daemon/jobs/process_watch.h"
#include "daemon/policy/leases.h"

namespace buildwarden::jobs {
namespace asio = boost::asio;
namespace {

// Only what no pidfd tells waits for it: times that are over, and processes on kernels without pidfd.
constexpr Duration kSweepEvery = kIdleTick;
constexpr std::size_t kMostLeft = 1000;
constexpr std::size_t kMostEnded = 1000;

bool is_same(const ports::JobFolder& one, const ports::JobFolder& other) {
  return one.device == other.device && one.inode == other.inode && one.path == other.path;
}

void ended(const std::exception_ptr& failure) {
  if (failure) log_error("the sweep of the jobs ended by an exception");
}

}  // namespace

LeaseRegistry::LeaseRegistry(asio::any_io_executor executor, LeaseRegistryPorts ports, Processes processes)
    : executor_(std::move(executor)),
      ports_(ports),
      processes_(std::move(processes)),
      keeper_(executor_, ports_.store, ports_.journal, [this] { return ports::LeaseBook{leases(), left_}; }) {}

LeaseRegistry::~LeaseRegistry() = default;

void LeaseRegistry::restore() {
  auto book = ports_.store.load_leases();
  left_ = std::move(book.left_folders);
  for (auto& lease : book.leases) {
    ports::GrantRequest request;
    request.job = lease.id;
    request.builders = lease.builders;
    // A builder that is not configured any more cannot be held any more.
    const auto granted = ports_.handout.grant(request);
    if (!granted)
      log_warning(format("job {} is taken over without its builders: {}", lease.id, granted.error().message()));
    auto& entry = entries_[lease.id];
    entry.watch = watch(lease);
    entry.lease = std::move(lease);
  }
  for (const auto& [id, entry] : entries_) tell(entry.lease, false);
  sweep();
}

void LeaseRegistry::start() { asio::co_spawn(executor_, loop_timer_.run(keep_sweeping()), ended); }

void LeaseRegistry::stop() {
  loop_timer_.stop();
  for (auto& [id, entry] : entries_) entry.watch.reset();
}

asio::awaitable<void> LeaseRegistry::keep_sweeping() {
  while (!loop_timer_.stopped()) {
    co_await loop_timer_.sleep_for(kSweepEvery);
    if (!loop_timer_.stopped()) sweep();
  }
}

std::optional<std::string> LeaseRegistry::why_over(const ports::Lease& lease, std::string& rule) const {
  if (lease.pid > 0) {
    const auto facts = processes_.look(lease.pid);
    if (!facts && facts.error().code() != Errc::kNotFound) return std::nullopt;
    if (facts && facts->started == lease.pid_started) return std::nullopt;
    rule = "pid_ended";
    return format("its process {} has ended", lease.pid);
  }
  if (ports_.clock.now().boot < lease.expires) return std::nullopt;
  rule = "expired";
  return format("it was not renewed for {} and names no process", short_duration(lease.expires - lease.started));
}

void LeaseRegistry::sweep() {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : entries_) ids.push_back(id);
  for (const auto& id : ids) end_if_over(id);
}

void LeaseRegistry::end_if_over(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  std::string rule;
  const auto why = why_over(found->second.lease, rule);
  if (why) end(id, rule, *why);
}

const ports::Lease* LeaseRegistry::find(const std::string& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.lease;
}

std::string LeaseRegistry::make_place(uid_t uid) {
  policy::LeaseCounts known;
  const ports::Lease* oldest = nullptr;
  known.all = entries_.size();
  for (const auto& [id, entry] : entries_) {
    if (entry.lease.uid == uid) ++known.of_user;
    const bool may_go = (uid == 0 || entry.lease.uid == uid) && !protects(entry.lease);
    if (may_go && (oldest == nullptr || entry.lease.alive < oldest->alive)) oldest = &entry.lease;
  }
  auto why = policy::why_no_place(uid, known);
  if (why.empty() || oldest == nullptr) return why;
  end(std::string(oldest->id), "displaced", "no process of it was known any more, and another job needed its place");
  --known.all;
  if (known.of_user > 0) --known.of_user;
  return policy::why_no_place(uid, known);
}

bool LeaseRegistry::protects(const ports::Lease& lease) const {
  return policy::protects({.has_process = lease.pid > 0, .alive = lease.alive}, looked_, ports_.clock.now().boot);
}

bool LeaseRegistry::has_unproven() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& one) { return one.second.lease.pid <= 0; });
}

void LeaseRegistry::note_processes(const std::set<std::string>& jobs, BootTime when) {
  looked_ = std::max(looked_, when);
  for (auto& [id, entry] : entries_) {
    if (jobs.contains(id)) entry.lease.alive = std::max(entry.lease.alive, when);
  }
}

std::vector<ports::Lease> LeaseRegistry::protecting() const {
  auto all = leases();
  std::erase_if(all, [this](const ports::Lease& lease) { return !protects(lease); });
  return all;
}

// Not saved for this alone: after a restart a reservation that was written counts a little longer.
std::vector<policy::Promise> LeaseRegistry::promised(Bytes free_now) {
  const auto now = ports_.clock.now().boot;
  std::vector<policy::Reservation> reserved;
  for (const auto& [id, entry] : entries_) reserved.push_back(reservation_of(entry.lease));
  reserved = policy::observed(std::move(reserved), free_now, now);
  for (const auto& one : reserved) {
    auto& lease = entries_.at(one.job).lease;
    lease.written_bytes = one.written;
    lease.wrote = one.wrote;
  }
  return policy::outstanding(reserved, now);
}

void LeaseRegistry::put(ports::Lease lease) {
  auto& entry = entries_[lease.id];
  entry.watch = watch(lease);
  entry.lease = std::move(lease);
  save();
  tell(entry.lease, false);
}

std::unique_ptr<LeaseRegistry::ProcessWatch> LeaseRegistry::watch(const ports::Lease& lease) {
  if (lease.pid <= 0 || loop_timer_.stopped()) return nullptr;
  auto fd = open_pidfd(lease.pid);
  if (!fd) return nullptr;  // gone already, or a kernel without pidfd: the sweep looks
  // The number may be another process's by now; asked after the descriptor was opened, the answer holds for it.
  const auto facts = processes_.look(lease.pid);
  if (!facts || facts->started != lease.pid_started) {
    ::close(*fd);
    return nullptr;
  }
  return std::make_unique<ProcessWatch>(executor_, *fd, [this, id = lease.id, pid = lease.pid] {
    end(id, "pid_ended", format("its process {} has ended", pid));
  });
}

void LeaseRegistry::end(const std::string& id, std::string_view rule, const std::string& reason) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  const auto node = entries_.extract(found);  // kept to the end of this scope: its watch may be what calls us
  const auto& lease = node.mapped().lease;
  const auto lasted = ports_.clock.now().boot - lease.started;
  keep_folder(lease);
  keep_end(lease);
  tell(lease, true);
  save();
  ports_.handout.release(node.key());
  ports_.journal.record({.kind = "job.ended",
                         .reason = format("job {} ended after {}: {}", node.key(), short_duration(lasted), reason),
                         .rule = std::string(rule),
                         .fields = {{"job", node.key()},
                                    {"pipeline", lease.pipeline},
                                    {"seconds", std::chrono::duration<double>(lasted).count()}}});
}

// Of a folder that job after job uses the last one's end is enough.
void LeaseRegistry::keep_folder(const ports::Lease& lease) {
  if (!lease.docker_config) return;
  std::erase_if(left_, [&](const ports::JobFolder& folder) { return is_same(folder, *lease.docker_config); });
  if (left_.size() >= kMostLeft) left_.erase(left_.begin());
  left_.push_back(*lease.docker_config);
  left_.back().ended = ports_.clock.now().wall;
}

void LeaseRegistry::keep_end(const ports::Lease& lease) {
  if (lease.checkout_path.empty()) return;
  const auto now = ports_.clock.now().wall;
  ports::EndedJob ended{lease.id, lease.checkout_path, now, 1, now};
  const auto before = std::find_if(ended_.begin(), ended_.end(),
                                   [&](const ports::EndedJob& one) { return one.checkout == lease.checkout_path; });
  if (before != ended_.end()) {
    ended.jobs += before->jobs;
    ended.first_ended = before->first_ended;
    ended_.erase(before);
  }
  if (ended_.size() >= kMostEnded) ended_.erase(ended_.begin());
  ended_.push_back(std::move(ended));
}

std::vector<ports::JobFolder> LeaseRegistry::left_folders() const {
  auto left = left_;
  for (const auto& [id, entry] : entries_) {
    const auto& used = entry.lease.docker_config;
    if (used) std::erase_if(left, [&](const ports::JobFolder& folder) { return is_same(folder, *used); });
  }
  return left;
}

// Not saved for this alone: what is gone is told apart by its identity.
void LeaseRegistry::forget_folder(const ports::JobFolder& gone) {
  std::erase_if(left_, [&](const ports::JobFolder& folder) { return is_same(folder, gone); });
}

std::vector<ports::Lease> LeaseRegistry::leases() const {
  std::vector<ports::Lease> all;
  for (const auto& [id, entry] : entries_) all.push_back(entry.lease);
  return all;
}

ports::JobsView LeaseRegistry::jobs_view() const {
  ports::JobsView view;
  view.leases = leases();
  view.admitted = admitted_;
  view.refused = refused_;
  view.waits_of_admitted = waits_of_admitted_;
  view.waits_of_refused = waits_of_refused_;
  const auto now = ports_.clock.now().boot;
  for (auto& lease : view.leases)
    lease.reserved_bytes = policy::sum_of(policy::outstanding({reservation_of(lease)}, now));
  return view;
}

ports::InUseSet LeaseRegistry::now() const {
  ports::InUseSet held;
  const auto present = ports_.clock.now();
  for (const auto& [id, entry] : entries_) {
    if (!protects(entry.lease)) continue;
    // By the boot clock: the wall clock may have been set since, and stamps of use are of the clock of today.
    const auto started = present.wall - (present.boot - entry.lease.started);
    if (!held.oldest_job_start || started < *held.oldest_job_start) held.oldest_job_start = started;
  }
  return held;
}

}  // namespace buildwarden::jobs
