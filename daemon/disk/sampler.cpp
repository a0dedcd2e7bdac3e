#include "daemon/disk/sampler.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>
#include <utility>

#include "common/beat.h"
#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

bool any_pending(const std::vector<Lane*>& lanes) {
  return std::any_of(lanes.begin(), lanes.end(), [](const Lane* lane) { return lane->pending(); });
}

}  // namespace

Sampler::Sampler(const std::shared_ptr<MountTable>& table, SamplerTiming timing)
    : Sampler(FilesystemReader(table), table, timing) {}

Sampler::Sampler(ReadFilesystem read, std::shared_ptr<MountTable> table, SamplerTiming timing)
    : read_(std::move(read)), table_(std::move(table)), timing_(timing) {}

// One sample(): when it began and how the lanes wake it.
struct Sampler::Round {
  Now now;
  asio::any_io_executor loop;
  std::function<void()> wake;
};

asio::awaitable<std::vector<Sample>> Sampler::sample(std::vector<std::string> paths, Now now, Haste haste) {
  auto pass = co_await turnstile_.enter(timing_.stale);
  const auto loop = co_await asio::this_coro::executor;
  auto timer = std::make_shared<asio::steady_timer>(loop);
  Round round;
  round.now = now;
  round.loop = loop;
  round.wake = [weak = std::weak_ptr(timer)] {
    if (const auto waiting = weak.lock()) waiting->cancel();
  };
  Answers answers;
  std::vector<Lane*> begun;
  if (pass) begun = begin(paths, round, answers);
  const auto began = asio::steady_timer::clock_type::now();
  const auto until = wait_end(began, haste == Haste::kCalm ? 10 * timing_.patience : timing_.patience);
  while (any_pending(begun) && asio::steady_timer::clock_type::now() < until) {
    timer->expires_at(until);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await timer->async_wait(token);
  }
  for (Lane* lane : begun) collect(*lane, now, answers);
  std::vector<Sample> samples;
  samples.reserve(paths.size());
  for (const auto& path : paths) samples.push_back(answer_for(path, now, answers));
  if (pass) drop_idle_lanes();
  co_return samples;
}

std::string Sampler::lane_of(const std::string& path) const {
  const auto known = resolved_.find(path);
  const auto* mount = known == resolved_.end() ? nullptr : mount_of(*mounts_, known->second);
  return mount == nullptr ? "path " + path : mount->device;
}

// The lanes that were begun now; those still busy with an older request are left alone.
std::vector<Lane*> Sampler::begin(const std::vector<std::string>& paths, const Round& round, Answers& late) {
  mounts_ = table_->read(round.now.boot);
  std::map<std::string, std::vector<std::string>> by_lane;
  for (const auto& path : paths) by_lane[lane_of(path)].push_back(path);
  std::vector<Lane*> begun;
  for (auto& [name, its_paths] : by_lane) {
    auto& lane = lanes_[name];
    if (!lane) lane = std::make_unique<Lane>(read_);
    for (const auto& path : its_paths) asked_in_[path] = name;
    collect(*lane, round.now, late);
    if (lane->pending()) continue;
    lane->begin(std::move(its_paths), round.now, round.loop, round.wake);
    begun.push_back(lane.get());
  }
  return begun;
}

void Sampler::collect(Lane& lane, Now now, Answers& into) {
  const Now asked = lane.begun();
  for (auto& answer : lane.collect()) {
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

Sample Sampler::answer_for(const std::string& path, Now now, const Answers& answers) const {
  if (const auto answer = answers.find(path); answer != answers.end()) return answer->second;
  Sample sample;
  sample.path = path;
  sample.asked = now;
  const auto name = asked_in_.find(path);
  const auto lane = name == asked_in_.end() ? lanes_.end() : lanes_.find(name->second);
  if (lane == lanes_.end() || !lane->second->pending()) {
    sample.error = format("{} could not be asked for {}", path, format_duration(timing_.stale));
    return sample;
  }
  sample.asked = lane->second->begun();
  const Duration waited = now.boot - sample.asked.boot;
  if (waited > timing_.stale) {
    sample.error = format("{} has not answered for {}: its filesystem hangs", path, format_duration(waited));
  }
  return sample;
}

// Only lanes with nothing under way, and only those that no path would use again.
void Sampler::drop_idle_lanes() {
  std::set<std::string> wanted;
  for (const auto& [path, name] : asked_in_) wanted.insert(lane_of(path));
  std::erase_if(lanes_,
                [&wanted](const auto& entry) { return !entry.second->pending() && !wanted.contains(entry.first); });
}

}  // namespace buildwarden::disk
