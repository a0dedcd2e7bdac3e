// The reconciler's ears and its face: what wakes it, and what others may know.
#include <algorithm>
#include <array>
#include <utility>

#include "common/format.h"
#include "daemon/builders/builder_events.h"
#include "daemon/builders/reconciler.h"

namespace buildwarden::builders {
namespace {

std::string attribute(const ports::EngineEvent& event, const std::string& name) {
  const auto found = event.attributes.find(name);
  return found == event.attributes.end() ? std::string() : found->second;
}

// A job learns of a hang that is older than this and one question.
constexpr Duration kAnswerKept = std::chrono::seconds{5};

// One that has not answered since its start, or whose socket nobody serves since it has just ended, is on its way for
// so long; buildx waits 20 s for its socket.
constexpr Duration kStartPatience = std::chrono::seconds{30};

bool is_loss(const std::string& action) {
  static constexpr std::array<std::string_view, 4> kLosses = {"die", "pause", "destroy", "rename"};
  return std::find(kLosses.begin(), kLosses.end(), action) != kLosses.end();
}

}  // namespace

void Reconciler::wake(Builder& builder) {
  builder.woken = true;
  builder.probe.cancel();
  builder.timer.wake();
}

// Both ends of a connection change what is known of every builder.
void Reconciler::on_connected() {
  for (const auto& builder : builders_) wake(*builder);
}

void Reconciler::on_engine_event(const ports::EngineEvent& event) {
  if (event.before_start) return;  // the first look shows what came of it
  // An exec changes nothing of its container, and every build through a front is one.
  if (event.type != "container" || event.action.starts_with("exec_")) return;
  // After a rename the old name is the one that we know.
  auto name = attribute(event, event.action == "rename" ? "oldName" : "name");
  if (name.starts_with('/')) name.erase(0, 1);
  for (const auto& builder : builders_) {
    const auto& fronts = builder->fronts;
    const bool real = name == builder->container;
    const bool front = std::find(fronts.begin(), fronts.end(), name) != fronts.end();
    if (!real && !front) continue;
    if (ports_.held && ports_.held(builder->settings.name)) continue;
    if (is_loss(event.action)) {
      note_loss(*builder, ports_.clock.now());
      if (real) builder->liveness = {};
    }
    wake(*builder);
  }
}

ports::BuildersView Reconciler::builders_view() const {
  ports::BuildersView view;
  for (const auto& builder : builders_) {
    const auto& name = builder->settings.name;
    view.builders.push_back(view_of(*builder, endpoint(settings_.paths, name), ports_.handout.leases_on(name)));
    auto& shown = view.builders.back();
    shown.cache_share = builder->settings.cache_share;
    if (ports_.cache_bytes) shown.cache_bytes = ports_.cache_bytes(name);
    if (!ports_.facts) continue;
    auto facts = ports_.facts(name);
    shown.version = std::move(facts.version);
    shown.platforms = std::move(facts.platforms);
  }
  return view;
}

std::string Reconciler::why_withheld(const std::string& builder) {
  auto* found = find(builder);
  if (found == nullptr || settings_.dry_run) return "";
  const auto now = ports_.clock.now().boot;
  const auto& liveness = found->liveness;
  if (found->state == policy::BuilderState::kDown) {
    const bool looked_at = ports_.engine.status().up && !found->memory.engine.empty();
    return looked_at ? found->reason : "";
  }
  const auto silence = liveness.silent > 0 ? now - liveness.silent_since : Duration{0};
  const bool on_its_way = !liveness.answered || !found->probe.listener();
  if (on_its_way && silence < kStartPatience) return "";
  if (liveness.silent > 0) return format("it has not answered for {}", short_duration(silence));
  if (!liveness.asked || now - *liveness.asked > kAnswerKept) found->timer.wake();
  const auto listener = found->probe.listener();
  if (!listener || !is_stopped(*listener)) return "";
  return format("the process {} that serves its socket is stopped", *listener);
}

ports::InUseSet Reconciler::now() const {
  ports::InUseSet held;
  for (const auto& builder : builders_) {
    held.image_references.insert(builder->settings.image);
    if (builder->next) held.image_references.insert(builder->next->image);
    if (builder->image_id) held.image_references.insert(*builder->image_id);
    held.container_names.insert(builder->container);
    held.container_names.insert(builder->fronts.begin(), builder->fronts.end());
  }
  return held;
}

std::vector<ports::NotReady> Reconciler::not_ready() const {
  std::vector<ports::NotReady> missing;
  for (const auto& builder : builders_) {
    if (builder->state == policy::BuilderState::kWarm) continue;
    missing.push_back({.part = "builder " + builder->settings.name, .reason = builder->reason});
  }
  return missing;
}

}  // namespace buildwarden::builders
