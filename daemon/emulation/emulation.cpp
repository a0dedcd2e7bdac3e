#include "daemon/emulation/emulation.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "daemon/emulation/host_qemu.h"
#include "daemon/emulation/platform.h"

namespace buildwarden::emulation {
using policy::PlatformState;

namespace {

constexpr Duration kCompare = std::chrono::seconds{27};  // ends on the nearest tick: 24 to 30 s
constexpr Duration kExecute = std::chrono::hours{1};
constexpr Duration kWork = std::chrono::seconds{15};  // for a worker: more than what it does by itself
constexpr Duration kJobWaits = std::chrono::seconds{10};
constexpr int kRounds = 3;  // a repair, what it led to, and the next source

bool is_well(PlatformState state) { return state == PlatformState::kProven || state == PlatformState::kNative; }

}  // namespace

namespace asio = boost::asio;

Emulation::Emulation(Parts parts) : parts_(std::move(parts)) { want(); }

bool Emulation::is_wanted() const {
  const auto& emulation = parts_.settings.emulation;
  return emulation.all_platforms || !emulation.platforms.empty();
}

void Emulation::want() {
  const auto& emulation = parts_.settings.emulation;
  names_ = emulation.all_platforms ? all_names() : emulation.platforms;
  wish_.platforms = parts_.machine.desired(names_);
  wish_.order = emulation.order;
  if (std::find(wish_.order.begin(), wish_.order.end(), "host") != wish_.order.end()) return;
  for (auto& platform : wish_.platforms) platform.wanted.reset();
}

asio::awaitable<void> Emulation::turn(bool execute) {
  if (!is_wanted()) {
    plan_ = {};
    co_return;
  }
  const auto guard = co_await turns_.lock();
  if (!guard) co_return;
  co_await look(execute, false);
}

bool Emulation::is_due() const {
  return must_execute_ || !executed_ || parts_.clock.now().boot - *executed_ >= kExecute;
}

asio::awaitable<void> Emulation::look(bool execute_now, bool quick) {
  std::map<std::string, policy::PlatformState> before;
  for (const auto& one : plan_.platforms) before[one.platform] = one.state;
  if (execute_now || is_due()) {
    want();
    mount_tried_ = false;
  }
  tried_.clear();
  bool must = execute_now;
  for (int round = 0; round < kRounds && !loop_timer_.stopped(); ++round) {
    const auto known = seen_.entries;
    co_await observe();
    if (seen_.entries != known) seen_.proofs.clear();
    if (must || is_due() || seen_.proofs.empty()) co_await execute();
    judge_repairs();
    decide();
    if (plan_.steps.empty()) break;
    if (parts_.settings.dry_run) {
      record_would();
      break;
    }
    co_await act(quick);
    must = true;
  }
  tell_changes(before);
}

asio::awaitable<void> Emulation::observe() {
  const auto& folder = parts_.settings.paths.binfmt_misc;
  const auto began = std::chrono::steady_clock::now();
  auto proofs = std::move(seen_.proofs);
  seen_ = parts_.machine.read(folder);
  if (seen_.entries.empty() && !seen_.trouble.empty() && !parts_.settings.dry_run && !mount_tried_) {
    mount_tried_ = true;
    const auto mount = parts_.machine.mount;
    std::function<Result<bool>()> work = [mount, folder]() -> Result<bool> {
      auto mounted = mount(folder);
      if (!mounted) return std::move(mounted).error();
      return true;
    };
    const auto mounted = co_await parts_.workers.compute<bool>(std::move(work), kWork);
    mount_trouble_ = mounted ? "" : mounted.error().message();
    seen_ = parts_.machine.read(folder);
  }
  comparisons_.note(seen_.trouble.empty(), began, parts_.clock.now().wall);
  if (!seen_.trouble.empty() && !mount_trouble_.empty()) seen_.trouble = mount_trouble_;
  if (seen_.trouble.empty()) mount_tried_ = false;
  seen_.proofs = std::move(proofs);
  const auto status = parts_.engine.status();
  const auto& image = parts_.settings.emulation.image;
  seen_.image_usable = status.up && !image.empty();
  seen_.image_trouble = image.empty() ? "no image is configured (emulation.image)" : status.reason;
}

// The programs of all but the host's own platform; that one is the control.
asio::awaitable<void> Emulation::execute() {
  must_execute_ = false;
  const auto now = parts_.clock.now();
  executed_ = now.boot;
  std::vector<std::string> names;
  for (const auto& one : wish_.platforms) {
    if (!one.native && !one.handler.empty()) names.push_back(one.platform);
  }
  for (const auto& one : wish_.platforms) {
    if (one.handler.empty()) seen_.proofs[one.platform] = {policy::ProofResult::kFailed, one.why_not};
  }
  if (names.empty() || !seen_.trouble.empty()) co_return;
  const auto began = std::chrono::steady_clock::now();
  executed_at_ = now.wall;
  const auto run = parts_.machine.execute;
  const auto stop = stop_work_.get_token();
  using Proofs = std::map<std::string, policy::Proof>;
  std::function<Result<Proofs>()> work = [run, names, stop]() -> Result<Proofs> { return run(names, stop); };
  auto proofs = co_await parts_.workers.compute<Proofs>(std::move(work), kWork);
  execution_ = std::chrono::ceil<Duration>(std::chrono::steady_clock::now() - began);
  bool judged = true;
  for (const auto& name : names) {
    if (proofs) seen_.proofs[name] = (*proofs)[name];
    if (!proofs) seen_.proofs[name] = {policy::ProofResult::kUnknown, proofs.error().message()};
    judged = judged && seen_.proofs[name].result != policy::ProofResult::kUnknown;
  }
  executions_.note(judged, began, parts_.clock.now().wall);
}

void Emulation::judge_repairs() {
  const auto now = parts_.clock.now();
  for (const auto& [platform, step] : std::exchange(tried_, {})) {
    const auto result = seen_.proofs[platform].result;
    if (result == policy::ProofResult::kUnknown) continue;
    policy::note_repair(plan_.memory, platform, result == policy::ProofResult::kRan && !refused_.contains(platform),
                        now);
  }
}

void Emulation::decide() {
  plan_ = policy::plan_emulation(wish_, seen_, std::move(plan_.memory), parts_.clock.now());
  for (auto& one : plan_.platforms) {
    const auto refused = refused_.find(one.platform);
    if (refused == refused_.end()) continue;
    if (one.state == policy::PlatformState::kProven && one.rule == "proven" && plan_.steps.empty()) {
      refused_.erase(refused);
    } else {
      one.reason += format("; the last repair failed: {}", refused->second);
    }
  }
}

asio::awaitable<void> Emulation::act(bool quick) {
  const auto& folder = parts_.settings.paths.binfmt_misc;
  std::vector<std::string> from_image;
  for (const auto& step : plan_.steps) {
    if (step.action == policy::EmulationAction::kUnregister) {
      if (auto removed = parts_.machine.remove(folder, step.entry.name); !removed) {
        refused_[step.platform] = removed.error().message();
      } else {
        refused_.erase(step.platform);
      }
      continue;
    }
    if (step.action == policy::EmulationAction::kRunImage && quick) {
      look_now();
      continue;
    }
    tried_[step.platform] = step;
    repaired_[step.platform] = step.reason;
    if (step.action == policy::EmulationAction::kRunImage) {
      from_image.push_back(step.platform);
      continue;
    }
    auto added = parts_.machine.add(folder, step.entry);
    if (added) refused_.erase(step.platform);
    if (!added) refused_[step.platform] = added.error().message();
  }
  if (!from_image.empty()) co_await fetch(std::move(from_image));
}

asio::awaitable<void> Emulation::fetch(std::vector<std::string> platforms) {
  auto image = parts_.settings.emulation.image;
  auto wanted = platforms;
  const auto done = co_await parts_.run_image(std::move(image), std::move(wanted));
  for (const auto& platform : platforms) {
    if (done) refused_.erase(platform);
    if (!done) refused_[platform] = done.error().message();
  }
}

asio::awaitable<void> Emulation::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> Emulation::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn(false);
    co_await loop_timer_.sleep_for(kCompare);
  }
}

void Emulation::stop() {
  stop_work_.request_stop();
  loop_timer_.stop();
}

void Emulation::look_now() {
  must_execute_ = true;
  loop_timer_.wake();
}

ports::Async<void> Emulation::verify() {
  co_await turn(true);
  co_return Result<void>{};
}

asio::awaitable<std::string> Emulation::await_platforms(std::vector<std::string> names) {
  if (names.empty() || !is_wanted()) co_return "";
  {
    const auto guard = co_await turns_.lock(kJobWaits);
    if (!guard) co_return format("whether its platforms run is not known yet after {}", short_duration(kJobWaits));
    co_await look(true, true);
  }
  std::string trouble;
  for (const auto& wanted : desired_platforms(names)) {
    if (wanted.native) continue;
    const auto found = std::find_if(plan_.platforms.begin(), plan_.platforms.end(),
                                    [&](const auto& one) { return one.platform == wanted.platform; });
    const bool runs = found != plan_.platforms.end() && (found->state == policy::PlatformState::kProven ||
                                                         found->state == policy::PlatformState::kNative);
    if (runs) continue;
    const auto why = found == plan_.platforms.end() ? std::string("it is not in emulation.platforms") : found->reason;
    trouble += format("{}{} does not run here: {}", trouble.empty() ? "" : "; ", wanted.platform, why);
  }
  co_return trouble;
}

void Emulation::record(std::string kind, ports::Severity severity, const policy::PlatformStatus& about,
                       std::string reason, double seconds) {
  ports::Event event;
  event.kind = std::move(kind);
  event.severity = severity;
  event.rule = about.rule;
  event.reason = std::move(reason);
  event.fields.emplace_back("platform", about.platform);
  event.fields.emplace_back("handler", about.handler);
  event.fields.emplace_back("state", std::string(to_string(about.state)));
  event.fields.emplace_back("gone_seconds", seconds);
  parts_.journal.record(std::move(event));
}

// A loss that was seen and healed in one turn is one event; how long it was gone is since the last look at most.
void Emulation::tell_changes(const std::map<std::string, PlatformState>& before) {
  const auto now = parts_.clock.now().boot;
  bool gained = false;
  for (const auto& one : plan_.platforms) {
    const auto known = before.find(one.platform);
    const bool was_well = known != before.end() && is_well(known->second);
    const bool well = is_well(one.state);
    const auto last_good = good_at_.find(one.platform);
    const bool repaired = repaired_.contains(one.platform);
    if (well) {
      const auto gone = last_good == good_at_.end() ? Duration{0} : Duration(now - last_good->second);
      const auto seconds = std::chrono::duration<double>(gone).count();
      if (last_good == good_at_.end() && one.state == PlatformState::kProven) {
        record("emulation.proven", ports::Severity::kInfo, one, format("{} runs: {}", one.platform, one.reason), 0);
      } else if (last_good != good_at_.end() && (repaired || !was_well)) {
        ++restored_[one.platform];
        record("emulation.restored", ports::Severity::kWarning, one,
               format("{} runs again after {} at most: {}", one.platform, short_duration(gone),
                      repaired ? repaired_[one.platform] : one.reason),
               seconds);
      }
      gained = gained || repaired || !was_well;
      good_at_[one.platform] = now;
    } else if (was_well) {
      const bool lost = one.state != PlatformState::kUnknown;
      record(lost ? "emulation.lost" : "emulation.unknown", ports::Severity::kWarning, one,
             format("{} {}: {}", one.platform, lost ? "does not run any more" : "cannot be tried", one.reason), 0);
    } else if (known == before.end() || known->second != one.state) {
      record("emulation.missing", ports::Severity::kInfo, one, format("{} does not run: {}", one.platform, one.reason),
             0);
    }
  }
  repaired_.clear();
  if (gained && parts_.on_proven) parts_.on_proven();
}

void Emulation::record_would() {
  std::string steps;
  for (const auto& step : plan_.steps) {
    steps += format("{}{} {} ({})", steps.empty() ? "" : ", ", to_string(step.action), step.platform, step.reason);
  }
  if (std::exchange(announced_, steps) == steps) return;
  ports::Event event;
  event.kind = "emulation.would";
  event.rule = "dry_run";
  event.reason = format("Without dry run it would: {}.", steps);
  parts_.journal.record(std::move(event));
}

ports::EmulatorsView Emulation::emulators_view() const {
  ports::EmulatorsView view;
  if (const auto* own = own_platform()) view.native = own->name;
  if (!is_wanted()) return view;
  view.emulators = plan_.platforms;
  view.restored = restored_;
  view.executed_at = executed_at_;
  view.execution = execution_;
  view.comparisons = comparisons_;
  view.executions = executions_;
  view.image = parts_.settings.emulation.image;
  return view;
}

std::set<std::string> Emulation::held_images() const {
  const auto& emulation = parts_.settings.emulation;
  const bool may_run = std::find(emulation.order.begin(), emulation.order.end(), "image") != emulation.order.end();
  if (!is_wanted() || !may_run || emulation.image.empty()) return {};
  // Of an archive it has its tag alone.
  return {emulation.image, emulation.image.substr(0, emulation.image.find('@'))};
}

std::vector<ports::NotReady> Emulation::not_ready() const {
  std::vector<ports::NotReady> missing;
  if (!is_wanted()) return missing;
  const bool by_name = !parts_.settings.emulation.all_platforms;
  for (const auto& one : plan_.platforms) {
    const bool ran_once = good_at_.contains(one.platform);
    const bool failing = one.state == PlatformState::kBroken || one.state == PlatformState::kMissing;
    if (failing && (by_name || ran_once || one.rule == "backing_off" || one.rule == "broken")) {
      missing.push_back({"emulation", format("{}: {}", one.platform, one.reason)});
    }
    if (one.state == PlatformState::kUnknown)
      missing.push_back({"emulation", format("{}: {}", one.platform, one.reason)});
  }
  return missing;
}

}  // namespace buildwarden::emulation
