// For any history: what is in use, protected, kept, young or perhaps a running job's is never ranked for deletion.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/policy/eviction_order.h"
#include "daemon/policy/image_names.h"
#include "daemon/policy/ladder.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// A machine that has run for a while; its wall clock may have been set by up to two days either way, at any time.
struct History {
  Duration uptime{0};
  Duration clock_set_by{0};
  Duration clock_set_at{0};  // since boot

  [[nodiscard]] WallTime wall_at(Duration since_boot) const {
    const WallTime boot{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};
    return boot + since_boot + (since_boot >= clock_set_at ? clock_set_by : Duration{0});
  }
  [[nodiscard]] Now now() const { return {wall_at(uptime), BootTime{uptime}}; }
};

Duration any_duration(Duration from, Duration to) {
  return Duration{*rc::gen::inRange<Duration::rep>(from.count(), to.count() + 1)};
}

History any_history() {
  History history;
  history.uptime = any_duration(minutes{1}, hours{72});
  history.clock_set_by =
      *rc::gen::element(Duration{0}, Duration{1}) == Duration{0} ? Duration{0} : any_duration(-hours{48}, hours{48});
  history.clock_set_at = any_duration(Duration{0}, history.uptime);
  return history;
}

// With the true time of its last use, which the policy does not see.
struct Image {
  Candidate candidate;
  Duration used_at{0};  // since boot
};

Image any_image(const History& history, int number) {
  Image image;
  // Small times near the present are as likely as others.
  const auto age = *rc::gen::element(0, 1) == 0
                       ? any_duration(Duration{0}, std::min<Duration>(history.uptime, minutes{30}))
                       : any_duration(Duration{0}, history.uptime);
  image.used_at = history.uptime - age;
  auto& candidate = image.candidate;
  candidate.id = std::to_string(number);
  candidate.size = *rc::gen::inRange<Bytes>(0, 5);
  candidate.last_use = {history.wall_at(image.used_at), age};
  candidate.references = {*rc::gen::element<std::string>("app:1", "base/os:1", "base/go:2", "tool:latest")};
  if (*rc::gen::inRange(0, 5) == 0) candidate.in_use_by = "container web";
  if (*rc::gen::inRange(0, 5) == 0) candidate.protected_as = "builder image";
  return image;
}

std::vector<Image> any_images(const History& history) {
  std::vector<Image> images;
  const int count = *rc::gen::inRange(0, 30);
  images.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) images.push_back(any_image(history, i));
  return images;
}

struct World {
  History history;
  std::vector<Image> images;
  EvictionRules rules;
  std::optional<Duration> job_started;  // since boot

  [[nodiscard]] std::vector<Candidate> candidates() const {
    std::vector<Candidate> result;
    result.reserve(images.size());
    for (const auto& image : images) result.push_back(image.candidate);
    return result;
  }
};

World any_world() {
  World world;
  world.history = any_history();
  world.images = any_images(world.history);
  world.rules.grace = any_duration(Duration{0}, minutes{30});
  world.rules.age = any_duration(Duration{0}, hours{24});
  world.rules.keep = *rc::gen::element(std::vector<std::string>{}, std::vector<std::string>{"base/*"},
                                       std::vector<std::string>{"tool:?", "*:2"});
  if (*rc::gen::element(0, 1) == 0) {
    world.job_started = any_duration(Duration{0}, world.history.uptime);
    world.rules.oldest_job_start = world.history.now().wall - (world.history.uptime - *world.job_started);
  }
  return world;
}

RC_GTEST_PROP(Eviction, NeverRanksWhatMustStay, ()) {
  const auto world = any_world();
  const auto ranking = rank(world.candidates(), world.rules, world.history.now());
  for (const auto& ranked : ranking.order) {
    const auto& image = world.images[std::stoul(ranked.id)];
    const auto unused = world.history.uptime - image.used_at;
    RC_ASSERT(ranked.in_use_by.empty());
    RC_ASSERT(ranked.protected_as.empty());
    RC_ASSERT(unused >= world.rules.grace);
    RC_ASSERT(unused >= world.rules.age);
    if (world.job_started) RC_ASSERT(image.used_at < *world.job_started);
    for (const auto& pattern : world.rules.keep) RC_ASSERT(!glob_matches(pattern, ranked.references[0]));
  }
}

RC_GTEST_PROP(Eviction, LosesNoneAndNamesARuleForEachThatStays, ()) {
  const auto world = any_world();
  const auto ranking = rank(world.candidates(), world.rules, world.history.now());
  std::multiset<std::string> seen;
  for (const auto& ranked : ranking.order) seen.insert(ranked.id);
  const std::set<std::string> rules = {"in_use", "protected", "keep", "running_job", "grace", "age"};
  for (const auto& skipped : ranking.skipped) {
    seen.insert(skipped.candidate.id);
    RC_ASSERT(rules.contains(skipped.rule));
    RC_ASSERT(!skipped.why.empty());
  }
  RC_ASSERT(seen.size() == world.images.size());
  for (const auto& image : world.images) RC_ASSERT(seen.count(image.candidate.id) == 1U);
}

RC_GTEST_PROP(Eviction, OrdersByLastUseWhateverTheOrderItIsAskedIn, ()) {
  const auto world = any_world();
  const auto ids = [&](std::vector<Candidate> candidates) {
    std::vector<std::string> result;
    for (const auto& one : rank(std::move(candidates), world.rules, world.history.now()).order)
      result.push_back(one.id);
    return result;
  };
  auto reversed = world.candidates();
  std::reverse(reversed.begin(), reversed.end());
  RC_ASSERT(ids(world.candidates()) == ids(reversed));
  const auto order = rank(world.candidates(), world.rules, world.history.now()).order;
  const auto older = [](const Candidate& one, const Candidate& other) { return one.last_use.at < other.last_use.at; };
  RC_ASSERT(std::is_sorted(order.begin(), order.end(), older));
}

// Any tree of records: each is built on some of those before it.
std::vector<CacheRecord> records_of(const World& world) {
  std::vector<CacheRecord> records;
  for (const auto& image : world.images) {
    CacheRecord record;
    record.id = image.candidate.id;
    record.size = image.candidate.size;
    record.in_use = !image.candidate.in_use_by.empty();
    record.last_used = world.history.wall_at(image.used_at);
    const auto parents = *rc::gen::inRange<std::size_t>(0, 3);
    for (std::size_t i = 0; i < parents && !records.empty(); ++i) {
      record.parents.push_back(records[*rc::gen::inRange<std::size_t>(0, records.size())].id);
    }
    records.push_back(std::move(record));
  }
  return records;
}

// What must stay: what is in use, young, or may be a running job's, and all that such a record is built on.
std::set<std::string> staying(const std::vector<CacheRecord>& records, const EvictionRules& rules, Now now) {
  std::set<std::string> ids;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    const auto unused = now.wall - record->last_used;
    const bool young = unused < rules.grace || unused < rules.age;
    const bool job = rules.oldest_job_start && record->last_used >= *rules.oldest_job_start;
    if (record->in_use || young || job) ids.insert(record->id);
    if (ids.contains(record->id)) ids.insert(record->parents.begin(), record->parents.end());
  }
  return ids;
}

RC_GTEST_PROP(Eviction, CacheStepsSpareWhatMustStay, ()) {
  auto world = any_world();
  world.history.clock_set_by = Duration{0};  // records carry the wall clock alone; after a step nothing is asked by age
  const auto now = world.history.now();
  const auto records = records_of(world);
  if (world.job_started) world.rules.oldest_job_start = now.wall - (world.history.uptime - *world.job_started);
  const auto spared = staying(records, world.rules, now);
  const CacheList list(records);
  CacheBounds bounds;
  bounds.chunk = *rc::gen::inRange<Bytes>(-1, 20);
  bounds.floor = *rc::gen::inRange<Bytes>(-1, 30);
  std::map<std::string, const CacheRecord*> left;
  for (const auto& record : records) left[record.id] = &record;
  Bytes bytes = cache_bytes(records);
  for (const auto& step : cache_steps(list.order(), bounds, world.rules, now)) {
    Bytes frees = 0;
    RC_ASSERT(step.frees > 0);
    RC_ASSERT(now.wall - step.newest >= step.unused_for);
    for (const auto& id : step.ids) {
      RC_ASSERT(bytes > bounds.floor);
      RC_ASSERT(!spared.contains(id));
      RC_ASSERT(left.contains(id));
      frees += left.at(id)->size;
      bytes -= left.at(id)->size;
      RC_ASSERT(now.wall - left.at(id)->last_used >= step.unused_for);
      left.erase(id);
      for (const auto& [other, record] : left) {
        RC_ASSERT(std::find(record->parents.begin(), record->parents.end(), id) == record->parents.end());
      }
    }
    RC_ASSERT(step.frees == frees);
  }
  const auto may_go = std::any_of(left.begin(), left.end(),
                                  [&](const auto& one) { return one.second->size > 0 && !spared.contains(one.first); });
  RC_ASSERT(!may_go || bytes <= bounds.floor);
}

RC_GTEST_PROP(Ladder, NoClimbGoesBelowTheGraceOrClimbsWhatIsForbidden, ()) {
  LadderRequest request;
  request.level = *rc::gen::element(Level::kOk, Level::kLow, Level::kCritical, Level::kExhausted, Level::kUnknown);
  request.keep_used_within = any_duration(Duration{0}, hours{24});
  request.grace = any_duration(Duration{0}, hours{1});
  request.builder_prune = *rc::gen::element(false, true);
  request.purge_builds = *rc::gen::element(false, true);
  request.terminate_instance = *rc::gen::element(false, true);
  request.only_gentle = *rc::gen::element(false, true);
  const bool critical = request.level == Level::kCritical || request.level == Level::kExhausted;
  for (const auto& turn : climb(request)) {
    RC_ASSERT(turn.age >= request.grace);
    RC_ASSERT(request.level != Level::kUnknown);
    RC_ASSERT(critical || turn.pass == 1);
    if (turn.rung == RungId::kCheckouts) RC_ASSERT(request.purge_builds && critical && !request.only_gentle);
    if (turn.terminate) RC_ASSERT(request.terminate_instance && critical && turn.rung == RungId::kLastResort);
    if (request.only_gentle) RC_ASSERT(turn.rung <= RungId::kDanglingImages);
    if (turn.engine_cache) RC_ASSERT(request.builder_prune || critical);
  }
}

}  // namespace
}  // namespace buildwarden::policy
