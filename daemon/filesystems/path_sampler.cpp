#include "daemon/filesystems/path_sampler.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>
#include <utility>

#include "common/format.h"
#include "common/tick.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

bool any_pending(const std::vector<StatWorker*>& workers) {
  return std::any_of(workers.begin(), workers.end(), [](const StatWorker* worker) { return worker->pending(); });
}

}  // namespace

PathSampler::PathSampler(const std::shared_ptr<MountTable>& table, PathSamplerTiming timing)
    : PathSampler(PathStatReader(table), table, timing) {}

PathSampler::PathSampler(ReadPathStat read, std::shared_ptr<MountTable> table, PathSamplerTiming timing)
    : read_(std::move(read)), table_(std::move(table)), timing_(timing) {}

// One sample(): when it began and how the workers wake it.
struct PathSampler::Round {
  Now now;
  asio::any_io_executor loop;
  std::function<void()> wake;
};

asio::awaitable<std::vector<Sample>> PathSampler::sample(std::vector<std::string> paths, Now now, Haste haste) {
  auto guard = co_await mutex_.lock(timing_.stale);
  const auto loop = co_await asio::this_coro::executor;
  auto timer = std::make_shared<asio::steady_timer>(loop);
  Round round;
  round.now = now;
  round.loop = loop;
  round.wake = [weak = std::weak_ptr(timer)] {
    if (const auto waiting = weak.lock()) waiting->cancel();
  };
  Answers answers;
  std::vector<StatWorker*> begun;
  if (guard) begun = begin(paths, round, answers);
  const auto began = asio::steady_timer::clock_type::now();
  const auto until = wait_end(began, haste == Haste::kCalm ? 10 * timing_.patience : timing_.patience);
  while (any_pending(begun) && asio::steady_timer::clock_type::now() < until) {
    timer->expires_at(until);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await timer->async_wait(token);
  }
  for (StatWorker* worker : begun) collect(*worker, now, answers);
  std::vector<Sample> samples;
  samples.reserve(paths.size());
  for (const auto& path : paths) samples.push_back(answer_for(path, now, answers));
  if (guard) drop_idle_workers();
  co_return samples;
}

std::string PathSampler::worker_of(const std::string& path) const {
  const auto known = resolved_.find(path);
  const auto* mount = known == resolved_.end() ? nullptr : mount_of(*mounts_, known->second);
  return mount == nullptr ? "path " + path : mount->device;
}

// The workers that were begun now; those still busy with an older request are left alone.
std::vector<StatWorker*> PathSampler::begin(const std::vector<std::string>& paths, const Round& round, Answers& late) {
  mounts_ = table_->read(round.now.boot);
  std::map<std::string, std::vector<std::string>> by_worker;
  for (const auto& path : paths) by_worker[worker_of(path)].push_back(path);
  std::vector<StatWorker*> begun;
  for (auto& [name, its_paths] : by_worker) {
    auto& worker = workers_[name];
    if (!worker) worker = std::make_unique<StatWorker>(read_);
    for (const auto& path : its_paths) asked_by_[path] = name;
    collect(*worker, round.now, late);
    if (worker->pending()) continue;
    worker->begin(std::move(its_paths), round.now, round.loop, round.wake);
    begun.push_back(worker.get());
  }
  return begun;
}

void PathSampler::collect(StatWorker& worker, Now now, Answers& into) {
  const Now asked = worker.begun();
  for (auto& answer : worker.collect()) {
    if (now.boot - asked.boot > timing_.stale) continue;
    Sample sample;
    sample.path = answer.path;
    sample.asked = asked;
    if (answer.snapshot) {
      resolved_[answer.path] = answer.snapshot->resolved;
      sample.snapshot = std::move(*answer.snapshot);
    } else {
      resolved_.erase(answer.path);
      sample.error = answer.snapshot.error().message();
      sample.absent = answer.snapshot.error().code() == Errc::kNotFound;
    }
    into[answer.path] = std::move(sample);
  }
}

Sample PathSampler::answer_for(const std::string& path, Now now, const Answers& answers) const {
  if (const auto answer = answers.find(path); answer != answers.end()) return answer->second;
  Sample sample;
  sample.path = path;
  sample.asked = now;
  const auto name = asked_by_.find(path);
  const auto worker = name == asked_by_.end() ? workers_.end() : workers_.find(name->second);
  if (worker == workers_.end() || !worker->second->pending()) {
    sample.error = format("{} could not be asked for {}", path, short_duration(timing_.stale));
    return sample;
  }
  sample.asked = worker->second->begun();
  const Duration waited = now.boot - sample.asked.boot;
  if (waited > timing_.stale) {
    sample.error = format("{} has not answered for {}: its filesystem hangs", path, short_duration(waited));
  }
  return sample;
}

// Only workers with nothing under way, and only those that no path would use again.
void PathSampler::drop_idle_workers() {
  std::set<std::string> wanted;
  for (const auto& [path, name] : asked_by_) wanted.insert(worker_of(path));
  std::erase_if(workers_,
                [&wanted](const auto& entry) { return !entry.second->pending() && !wanted.contains(entry.first); });
}

}  // namespace buildwarden::disk
