#include "daemon/evictors/ending_jobs.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/format.h"
#include "common/tick.h"
#include "common/tree_look.h"
#include "daemon/evictors/jobs_on_host.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

// A hook waits for it.
constexpr Duration kKeptDeadline = std::chrono::seconds{20};
constexpr Duration kSizeDeadline = std::chrono::seconds{20};
constexpr Duration kBetweenEnds = std::chrono::seconds{1};
constexpr Duration kForgotten = std::chrono::minutes{30};
constexpr Duration kRoomWait = std::chrono::minutes{10};
constexpr std::size_t kMostPromised = 256;
constexpr std::uint64_t kMostLooked = 5'000'000;  // entries of one checkout

std::string agent_of(const std::string& job, const std::vector<policy::JobOnHost>& running) {
  for (const auto& one : running) {
    if (one.job == job && !one.agent.empty()) return one.agent;
  }
  return "";
}

}  // namespace

Result<EndingJobs::Kept> EndingJobs::look(const std::string& builds, const std::string& job,
                                          const std::vector<policy::JobOnHost>& running) {
  Kept kept;
  kept.agent = agent_of(job, running);
  auto root = DeletionRoot::open(builds);
  if (!root) {
    kept.refused = root.error().message();
    return kept;
  }
  kept.builds = *std::move(root);
  auto seen = look_for_checkouts(kept.builds->folder(), kept.builds->path());
  if (!seen) return std::move(seen).error();
  for (auto& found : seen->found) {
    if (policy::goes_at_end(found.checkout, running, job)) kept.checkouts.push_back(std::move(found));
  }
  return kept;
}

policy::HeldAtEnd EndingJobs::measure(const Kept& kept, const std::stop_token& stop) {
  policy::HeldAtEnd held;
  for (const auto& found : kept.checkouts) {
    const auto org = open_org(kept.builds->folder(), found.checkout);
    if (!org.open()) continue;
    const auto size = look_through(org.get(), found.checkout.pipeline, kMostLooked, stop);
    if (!size) continue;
    held.bytes += size->bytes;
    held.inodes += static_cast<std::int64_t>(size->entries);
    held.is_known = held.is_known && size->complete;
  }
  return held;
}

ports::Async<EndingJobs::Kept> EndingJobs::kept_by(std::string job) {
  auto running = co_await jobs_on_host(parts_.running_jobs, parts_.workers);
  if (!running) co_return std::move(running).error();
  std::function<Result<Kept>()> work = [builds = parts_.settings.paths.builds, job, running = *std::move(running)] {
    return look(builds, job, running);
  };
  co_return co_await parts_.workers.compute<Kept>(std::move(work), kKeptDeadline);
}

// What took too long is not known.
asio::awaitable<policy::HeldAtEnd> EndingJobs::held_by(Kept kept) {
  std::stop_source in_time;
  const std::stop_callback at_stop(stop_.get_token(), [&in_time] { in_time.request_stop(); });
  std::function<Result<policy::HeldAtEnd>()> work = [kept = std::move(kept), stop = in_time.get_token()] {
    return Result<policy::HeldAtEnd>(measure(kept, stop));
  };
  auto held = co_await parts_.workers.compute<policy::HeldAtEnd>(std::move(work), kSizeDeadline);
  in_time.request_stop();
  if (held) co_return *held;
  policy::HeldAtEnd unknown;
  unknown.is_known = false;
  co_return unknown;
}

asio::awaitable<bool> EndingJobs::is_enough(policy::HeldAtEnd held) {
  const auto view = co_await parts_.disks.measured_disk_view();
  for (const auto& disk : view.filesystems) {
    if (!disk.gate || !disk.reading) continue;
    const policy::Goal uncritical{disk.marks.critical, disk.marks.critical_inodes};
    if (policy::reached(uncritical, *disk.reading)) continue;
    const bool has_builds = std::find(disk.roles.begin(), disk.roles.end(), "builds") != disk.roles.end();
    if (!has_builds || !policy::is_enough(uncritical, *disk.reading, held)) co_return false;
  }
  co_return true;
}

std::string EndingJobs::why_none(const std::string& job, const Kept& kept) const {
  if (parts_.settings.dry_run) return "This is a dry run, so no checkout goes.";
  if (!parts_.settings.on_full.purge_builds) return "on_full.purge_builds is false, so no checkout goes.";
  if (!kept.refused.empty()) return format("Nothing is deleted among the builds: {}.", kept.refused);
  return kept.checkouts.empty() ? format("Job {} keeps no checkout of its own.", job) : "";
}

ports::Async<ports::RoomAtEnd> EndingJobs::give_up(std::string job) {
  // One after another: any job may ask, and a look reads whole trees.
  const auto guard = co_await mutex_.lock();
  auto kept = co_await kept_by(job);
  if (!kept) co_return std::move(kept).error();
  ports::RoomAtEnd room;
  room.reason = why_none(job, *kept);
  if (!room.reason.empty()) co_return room;
  const auto checkouts = kept->checkouts.size();
  const auto agent = kept->agent;
  const auto held = co_await held_by(*std::move(kept));
  room.enough = co_await is_enough(held);
  room.reason = format("{} checkouts that job {} alone keeps hold {}{}, which {}.", checkouts, job,
                       held.is_known ? "" : "at least ", format_bytes(held.bytes),
                       room.enough ? "go when it has ended" : "would not be enough");
  if (room.enough) promise(job, agent, room.reason);
  co_return room;
}

void EndingJobs::promise(const std::string& job, const std::string& agent, const std::string& reason) {
  std::erase_if(promised_, [&job](const Promised& one) { return one.job == job; });
  if (promised_.size() >= kMostPromised) promised_.erase(promised_.begin());
  promised_.push_back({job, agent, parts_.clock.now().boot});
  ports::Event event;
  event.kind = "checkout.kept";
  event.rule = "job_ends";
  event.reason = reason;
  event.fields.emplace_back("job", job);
  event.fields.emplace_back(ports::kOnDemandField, true);
  parts_.journal.record(event);
  loop_timer_.wake();
}

std::vector<policy::JobToCome> EndingJobs::given_up() const {
  std::vector<policy::JobToCome> jobs;
  for (const auto& one : promised_) {
    if (!one.ended) continue;
    policy::JobToCome job;
    job.agent = one.agent;
    job.asks = true;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

void EndingJobs::note_ends(const std::vector<ports::RunningJob>& running) {
  for (auto& one : promised_) {
    one.ended = one.ended || std::none_of(running.begin(), running.end(),
                                          [&one](const ports::RunningJob& job) { return job.job == one.job; });
  }
}

std::string EndingJobs::ended_names() const {
  std::string names;
  for (const auto& one : promised_) {
    if (one.ended) names += format("{}job {}", names.empty() ? "" : ", ", one.job);
  }
  return names;
}

asio::awaitable<void> EndingJobs::turn() {
  const auto now = parts_.clock.now().boot;
  std::erase_if(promised_, [now](const Promised& one) { return !one.ended && now - one.at > kForgotten; });
  if (promised_.empty()) co_return;
  const auto running = co_await parts_.running_jobs.running();
  if (!running) co_return;  // they may run
  note_ends(*running);
  const auto names = ended_names();
  if (names.empty()) co_return;
  ports::SpaceRequest request;
  request.wait = kRoomWait;
  request.on_behalf_of = format("{}, ended", names);
  request.on_request = false;
  const ports::Progress nobody = [](const std::string&) {};
  static_cast<void>(co_await parts_.space.ensure(std::move(request), nobody));
  std::erase_if(promised_, [](const Promised& one) { return one.ended; });
}

asio::awaitable<void> EndingJobs::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(promised_.empty() ? kIdleTick : kBetweenEnds);
  }
}

void EndingJobs::stop() {
  stop_.request_stop();
  loop_timer_.stop();
}

}  // namespace buildwarden::disk
