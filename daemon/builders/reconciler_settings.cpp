// The reconciler's configuration while it runs.
#include <algorithm>
#include <memory>
#include <utility>

#include "common/format.h"
#include "daemon/builders/reconciler.h"

namespace buildwarden::builders {
namespace {

bool is_named(const std::vector<BuilderSettings>& wanted, const std::string& name) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const auto& one) { return one.name == name; });
}

}  // namespace

void Reconciler::reconfigure(const std::vector<BuilderSettings>& builders, bool userns_remap, bool dry_run) {
  settings_.builders = builders;
  settings_.userns_remap = userns_remap;
  settings_.dry_run = dry_run;
  let_go_of_others(builders);
  for (const auto& wanted : builders) {
    const auto known = std::find_if(builders_.begin(), builders_.end(),
                                    [&](const auto& one) { return one->settings.name == wanted.name; });
    if (known == builders_.end()) {
      builders_.push_back(std::make_unique<Builder>(wanted, executor_));
      if (started_ && !stopping_) begin(builders_.back().get());
    } else {
      (*known)->next = wanted;
      wake(**known);
    }
  }
}

void Reconciler::let_go_of_others(const std::vector<BuilderSettings>& wanted) {
  std::vector<std::unique_ptr<Builder>> kept;
  for (auto& builder : builders_) {
    const auto& name = builder->settings.name;
    if (is_named(wanted, name)) {
      kept.push_back(std::move(builder));
      continue;
    }
    record_let_go(name, builder->container);
    for (const auto& front : builder->fronts) record_let_go(name, front);
    wake(*builder);
    builder->timer.stop();
    let_go_.push_back(std::move(builder));
  }
  builders_ = std::move(kept);
}

// What failed with the old settings may do with the new ones: no back-off stays.
void Reconciler::take_settings(Builder& builder) {
  if (!builder.next) return;
  auto next = std::exchange(builder.next, std::nullopt);
  if (*next == builder.settings) return;
  auto old_fronts = std::exchange(builder.fronts, fronts_of(*next));
  for (const auto& front : old_fronts) {
    const auto stays = std::find(builder.fronts.begin(), builder.fronts.end(), front) != builder.fronts.end();
    if (!stays) record_let_go(builder.settings.name, front);
  }
  builder.settings = *std::move(next);
  builder.image_id.reset();
  builder.announced.clear();
  builder.memory.failures = 0;
  builder.memory.not_before.reset();
}

void Reconciler::look_now(const std::string& builder) {
  if (auto* found = find(builder)) wake(*found);
}

Result<int> Reconciler::fresh_volume(const std::string& builder) const {
  const auto* found = find(builder);
  if (found == nullptr) return Error(Errc::kNotFound, format("no builder \"{}\"", builder));
  if (!found->volume_known)
    return Error(Errc::kUnavailable, format("the volumes of builder {} are not known", builder));
  return found->memory.crash.newest + 1;
}

void Reconciler::use_volume(const std::string& builder, int volume) {
  auto* found = find(builder);
  if (found == nullptr) return;
  auto& crash = found->memory.crash;
  crash.left = crash.volume;
  crash.volume = volume;
  crash.newest = std::max(crash.newest, volume);
  crash.vain = false;
  wake(*found);
}

void Reconciler::record_let_go(const std::string& builder, const std::string& container) {
  ports::Event event;
  event.kind = "builder.let_go";
  event.rule = "reload";
  event.reason = format("{} is not configured any more; it is left as it is, and nobody heals it", container);
  event.fields = {{"builder", builder}, {"container", container}};
  ports_.journal.record(std::move(event));
}

}  // namespace buildwarden::builders
