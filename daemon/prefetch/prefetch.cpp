#include "daemon/prefetch/prefetch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "daemon/policy/backoff.h"
#include "daemon/policy/seed.h"

namespace buildwarden::prefetch {
namespace asio = boost::asio;

namespace {

constexpr Duration kBetween{200};  // two images: whoever waits for the engine comes in between
constexpr Duration kEventsMayCome = std::chrono::seconds{2};

std::string place_of(const std::string& builder) {
  return builder.empty() ? "the engine" : format("builder {}", builder);
}

std::string scope_of(const ports::EngineIdentity& identity) { return identity.id + " " + identity.root_dir; }

}  // namespace

Prefetch::Prefetch(Parts parts) : parts_(std::move(parts)), started_(parts_.clock.now()) {}

policy::PrefetchFacts Prefetch::facts() const {
  policy::PrefetchFacts facts;
  facts.engine_up = parts_.engine.status().up;
  facts.since_start = parts_.clock.now().boot - started_.boot;
  for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
    // What is fetched is written into containerd's content, too, where it has the images.
    const bool lands_there = filesystem.keeps.contains(ports::Kept::kImages);
    if (!lands_there) continue;
    policy::PrefetchDisk disk;
    disk.mount = filesystem.mount;
    disk.level = filesystem.error.empty() ? filesystem.pressure.level : policy::Level::kUnknown;
    disk.wants_reclaim = filesystem.pressure.reclaim;
    if (filesystem.reading) disk.free = filesystem.reading->free;
    disk.low = filesystem.marks.low;
    disk.reason = filesystem.pressure.reason;
    facts.disks.push_back(std::move(disk));
  }
  for (const auto& builder : parts_.builders.builders_view().builders) {
    facts.builders.push_back(policy::PrefetchBuilder{builder.name, builder.state});
    facts.is_used = facts.is_used || !builder.leases.empty() || builder.running_builds.value_or(0) > 0;
  }
  const auto most = static_cast<std::size_t>(parts_.settings.seeds.images);
  facts.seed_images = seed_images_;
  if (facts.seed_images.size() > most) facts.seed_images.resize(most);
  return facts;
}

void Prefetch::fetch_for_seed(const std::vector<std::string>& images) {
  for (const auto& image : images) {
    const bool is_known = std::find(seed_images_.begin(), seed_images_.end(), image) != seed_images_.end();
    if (!is_known && seed_images_.size() < policy::kMostSeedImages) seed_images_.push_back(image);
  }
  look_now();
}

asio::awaitable<Duration> Prefetch::turn() {
  const auto status = parts_.engine.status();
  const auto scope = scope_of(status.identity);
  if (status.up && std::exchange(engine_, scope) != scope) plan_.items.clear();
  plan_ = policy::plan_prefetch(parts_.settings.prefetch.images, plan_.items, facts(), parts_.clock.now());
  record_wait(plan_);
  if (!plan_.next) co_return plan_.again;
  if (parts_.settings.dry_run) {
    record_would(plan_);
    co_return std::chrono::minutes{1};
  }
  auto& next = plan_.items[*plan_.next];
  next.state = policy::PrefetchState::kFetching;
  next.reason = format("being fetched for {}", place_of(next.builder));
  auto item = next;
  co_await fetch(std::move(item));
  co_return kBetween;
}

asio::awaitable<void> Prefetch::fetch(policy::PrefetchItem item) {
  const auto began = parts_.clock.now().boot;
  const auto done = co_await bring(item.image, item.builder);
  const auto now = parts_.clock.now();
  if (loop_timer_.stopped()) co_return;
  if (done) {
    const auto* how = *done == "present" ? "is there" : "was fetched";
    auto reason = format("{} {} for {}", item.image, how, place_of(item.builder));
    item = policy::fetched(std::move(item), std::move(reason), now);
  } else {
    const auto pause = policy::pull_pause(item.failures + 1);
    item = policy::fetch_failed(std::move(item), done.error().message(), parts_.jitter(pause), now);
  }
  if (done || policy::is_told(item.failures)) record_fetch(item, done ? *done : "failed", now.boot - began, now);
  keep(item);
}

void Prefetch::record_fetch(const policy::PrefetchItem& item, const std::string& rule, Duration took, Now now) {
  ports::Event event;
  event.kind = item.failures == 0 ? "prefetch.done" : "prefetch.failed";
  event.rule = rule;
  event.reason = item.reason;
  event.fields.emplace_back("image", item.image);
  event.fields.emplace_back("builder", item.builder);
  event.fields.emplace_back("seconds", std::chrono::duration<double>(took).count());
  if (item.failures > 0) {
    event.severity = ports::Severity::kWarning;
    event.reason =
        format("{} could not be fetched for {} ({} times in a row), the next try is {} away: {}", item.image,
               place_of(item.builder), item.failures, short_duration(*item.not_before - now.boot), item.reason);
  }
  parts_.journal.record(std::move(event));
}

ports::Async<std::string> Prefetch::bring(std::string image, std::string builder) {
  if (!builder.empty()) {
    auto fetched = co_await parts_.builder_images.fetch(std::move(builder), std::move(image));
    if (!fetched) co_return std::move(fetched).error();
    co_return std::string("pulled");
  }
  const auto present = co_await parts_.images.image_id(image);
  if (present) co_return std::string("present");
  if (present.error().code() != Errc::kNotFound) co_return present.error();
  pulling_ = image;
  pulled_at_.reset();
  const auto began = parts_.clock.now().boot;
  auto pulled = co_await parts_.source.pull(image);
  pulled_at_ = parts_.clock.now().boot;
  if (!pulled) co_return std::move(pulled).error();
  if (parts_.costs != nullptr) parts_.costs->pulled(image, *pulled_at_ - began);
  co_return std::string("pulled");
}

// What was taken out of the configuration meanwhile is not kept: the next plan knows it no more.
void Prefetch::keep(const policy::PrefetchItem& item) {
  for (auto& known : plan_.items) {
    if (known.image == item.image && known.builder == item.builder) known = item;
  }
}

std::string Prefetch::pulling() const {
  const bool is_over = pulled_at_ && parts_.clock.now().boot - *pulled_at_ > kEventsMayCome;
  return is_over ? "" : pulling_;
}

void Prefetch::record_wait(const policy::PrefetchPlan& plan) {
  const bool waits_for_others = plan.rule == "disk" || plan.rule == "builders" || plan.rule == "engine_down";
  if (!waits_for_others || plan.rule == announced_) {
    if (plan.rule == "fetch" && !parts_.settings.dry_run) announced_.clear();
    return;
  }
  announced_ = plan.rule;
  ports::Event event;
  event.kind = "prefetch.waiting";
  event.rule = plan.rule;
  event.reason = format("Prefetch waits: {}.", plan.reason);
  parts_.journal.record(std::move(event));
}

void Prefetch::record_would(const policy::PrefetchPlan& plan) {
  std::string images;
  for (const auto& item : plan.items) {
    if (item.builder.empty()) images += (images.empty() ? "" : ", ") + item.image;
  }
  if (announced_ == images) return;
  announced_ = images;
  ports::Event event;
  event.kind = "prefetch.would";
  event.rule = "dry_run";
  event.reason = format("Without dry run {} would be fetched.", images);
  parts_.journal.record(std::move(event));
}

ports::PrefetchView Prefetch::prefetch_view() const {
  ports::PrefetchView view;
  view.items = plan_.items;
  view.reason = plan_.reason;
  view.rule = plan_.rule;
  return view;
}

asio::awaitable<void> Prefetch::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> Prefetch::loop() {
  while (!loop_timer_.stopped()) {
    const auto pause = co_await turn();
    co_await loop_timer_.sleep_for(pause);
  }
}

}  // namespace buildwarden::prefetch
