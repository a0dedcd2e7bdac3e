#include "daemon/reclaim/reclaim_events.h"

#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

std::string rung_name(const policy::RungTurn& turn) { return std::string(policy::to_string(turn.rung)); }

double seconds(Duration time) { return static_cast<double>(time.count()) / 1000.0; }

// A number that nobody knows is no number: the fields are left out.
void add_freed(ports::Event& event, const policy::FreedSpace& freed) {
  if (freed.is_known()) {
    event.fields.emplace_back("freed_bytes", freed.bytes());
    event.fields.emplace_back("freed_inodes", freed.inodes());
  }
  if (freed.taken_bytes() > 0) event.fields.emplace_back("others_took_bytes", freed.taken_bytes());
}

std::string why_it_goes(const StepFacts& facts) {
  const auto& candidate = facts.candidate;
  if (candidate.thrown_away) return "thrown away before";
  const auto age = short_duration(facts.age);
  const auto use = candidate.last_use.by.empty() ? format("last used {} ago", age)
                                                 : format("last used {} ago by {}", age, candidate.last_use.by);
  if (candidate.given_up) return use + ", and its agent's job is over";
  const auto why = format("{}, which is longer than {}", use, short_duration(facts.turn.age));
  return candidate.value ? format("{}; {}", why, candidate.value->why) : why;
}

void add_value(ports::Event& event, const policy::Candidate& candidate) {
  event.fields.emplace_back("last_used_at", format_rfc3339(candidate.last_use.at));
  if (!candidate.value) return;
  const auto& value = *candidate.value;
  event.fields.emplace_back("cost_seconds", value.seconds);
  event.fields.emplace_back("cost_is_estimated", value.is_estimated);
  event.fields.emplace_back("uses", static_cast<std::int64_t>(value.uses));
  event.fields.emplace_back("gives_back_bytes", candidate.size);
  event.fields.emplace_back("worth", value.worth);
  if (!value.superseded_by.empty()) event.fields.emplace_back("superseded_by", value.superseded_by);
}

std::string reason_of(const StepFacts& facts) {
  const auto& candidate = facts.candidate;
  const auto why = why_it_goes(facts);
  const auto where = figures(facts.after);
  if (facts.dry_run) {
    return format("Would delete {} of {} ({}): {}.", candidate.name, format_bytes(candidate.size), why, where);
  }
  return format("Deleted {} ({}): {}, reported {}; {}.", candidate.name, why, policy::to_text(facts.freed),
                format_bytes(facts.reported), where);
}

// The filesystem whose need the background saw: the shortest one where it is that.
const ports::FilesystemSnapshot* cause_of(const GoalStatus& at, const std::vector<ports::FilesystemSnapshot>& seen) {
  const ports::FilesystemSnapshot* cause = nullptr;
  for (const auto& one : seen) {
    if (one.pressure.reclaim && (cause == nullptr || one.mount == at.mount)) cause = &one;
  }
  return cause;
}

// Why the age was what it was.
std::string rule_of(const StepFacts& facts) {
  if (facts.candidate.thrown_away) return "thrown_away";
  if (facts.turn.rung == policy::RungId::kBuildCacheShare) return "cache_share";
  if (facts.turn.rung == policy::RungId::kOrphans) return "orphan";
  if (facts.turn.rung == policy::RungId::kCheckouts) return "purge_builds";
  if (facts.turn.rung == policy::RungId::kGitMirrors) return "purge_mirrors";
  return facts.turn.pass == 1 ? "keep_used_within" : "critical_grace";
}

}  // namespace

ports::Event began_event(const ports::SpaceRequest& request, const GoalStatus& at,
                         const std::vector<ports::FilesystemSnapshot>& seen) {
  const auto* cause = request.on_request ? nullptr : cause_of(at, seen);
  ports::Event event;
  event.kind = "reclaim.began";
  event.rule = "asked";
  event.reason = format("{} asked for space: {}.", request.on_behalf_of, figures(at));
  if (cause != nullptr) {
    event.rule = cause->pressure.rule == "forecast" ? "forecast" : "low";
    event.reason =
        format("Space is made on {} for {}: {}.", cause->mount, request.on_behalf_of, cause->pressure.reason);
  }
  event.fields.emplace_back("free_bytes", at.free);
  event.fields.emplace_back("wanted_bytes", at.wanted);
  event.fields.emplace_back("mount", at.mount);
  event.fields.emplace_back("level", std::string(to_string(at.level)));
  event.fields.emplace_back("dry_run", request.dry_run);
  event.fields.emplace_back("on_behalf_of", request.on_behalf_of);
  if (request.dry_run && is_on_demand(request)) event.fields.emplace_back(ports::kOnDemandField, true);
  return event;
}

ports::SpaceStep step_of(const StepFacts& facts) {
  ports::SpaceStep step;
  step.rung = rung_name(facts.turn);
  step.what = facts.candidate.name;
  step.reported = facts.reported;
  step.freed = facts.freed;
  step.reason = reason_of(facts);
  step.rule = rule_of(facts);
  step.mount = facts.after.mount;
  step.shared = facts.candidate.shared;
  step.is_unsized = facts.candidate.is_unsized;
  step.last_used = facts.candidate.last_use.at;
  step.value = facts.candidate.value;
  return step;
}

ports::KeptThing kept_thing(policy::RungId rung, const policy::Skipped& skipped, std::string mount) {
  ports::KeptThing kept;
  kept.rung = std::string(policy::to_string(rung));
  kept.what = skipped.candidate.name;
  kept.mount = std::move(mount);
  kept.size = skipped.candidate.size;
  kept.last_used = skipped.candidate.last_use.at;
  kept.reason = skipped.why;
  kept.rule = skipped.rule;
  return kept;
}

std::string mount_of(const std::vector<ports::FilesystemSnapshot>& filesystems, const policy::Skipped& skipped,
                     const Frees& frees) {
  const auto& device = skipped.candidate.device;
  std::string mount;
  std::size_t found = 0;
  for (const auto& filesystem : filesystems) {
    if (!frees(filesystem) || (!device.empty() && filesystem.device != device)) continue;
    mount = filesystem.mount;
    ++found;
  }
  return found == 1 ? mount : std::string();
}

ports::Event step_event(const StepFacts& facts, const ports::SpaceStep& step) {
  ports::Event event;
  event.kind = "reclaim.step";
  event.reason = step.reason;
  event.rule = step.rule;
  event.fields.emplace_back("rung", step.rung);
  event.fields.emplace_back("pass", std::int64_t{facts.turn.pass});
  event.fields.emplace_back("name", facts.candidate.name);
  event.fields.emplace_back("id", facts.candidate.id);
  event.fields.emplace_back("reported_bytes", facts.reported);
  add_freed(event, facts.freed);
  event.fields.emplace_back("free_bytes", facts.after.free);
  event.fields.emplace_back("wanted_bytes", facts.after.wanted);
  event.fields.emplace_back("mount", facts.after.mount);
  event.fields.emplace_back("age_seconds", seconds(facts.age));
  add_value(event, facts.candidate);
  event.fields.emplace_back("dry_run", facts.dry_run);
  event.fields.emplace_back("on_behalf_of", facts.on_behalf_of);
  if (facts.dry_run && facts.turn.on_demand) event.fields.emplace_back(ports::kOnDemandField, true);
  return event;
}

ports::Event dropped_event(const policy::RungTurn& turn, const policy::Candidate& candidate, const std::string& why) {
  ports::Event event;
  event.kind = "reclaim.dropped";
  event.reason = format("Left {} alone: {}.", candidate.name, why);
  event.rule = "asked_again";
  event.fields.emplace_back("rung", rung_name(turn));
  event.fields.emplace_back("name", candidate.name);
  event.fields.emplace_back("id", candidate.id);
  if (turn.on_demand) event.fields.emplace_back(ports::kOnDemandField, true);
  return event;
}

bool is_on_demand(const ports::SpaceRequest& request) {
  const auto& who = request.on_behalf_of;
  return request.on_request && (who.starts_with("job ") || (who.starts_with("uid ") && who != "uid 0"));
}

ports::Event nothing_freed_event(const policy::RungTurn& turn, std::size_t deletions, Bytes reported) {
  ports::Event event;
  event.kind = "reclaim.nothing_freed";
  event.severity = ports::Severity::kError;
  event.reason = format(
      "The rung {} deleted {} things of {} by their sizes, and the disk has no more bytes or inodes free than before.",
      rung_name(turn), deletions, format_bytes(reported));
  event.rule = "measured";
  event.fields.emplace_back("rung", rung_name(turn));
  event.fields.emplace_back("deletions", static_cast<std::int64_t>(deletions));
  event.fields.emplace_back("reported_bytes", reported);
  return event;
}

ports::Event end_event(const ports::SpaceRequest& request, const ports::SpaceResult& result, const GoalStatus& end) {
  ports::Event event;
  event.kind = result.reached ? "reclaim.done" : "reclaim.short";
  event.severity = result.reached || request.dry_run ? ports::Severity::kInfo : ports::Severity::kWarning;
  event.reason = result.reason;
  event.rule = result.reached ? "reached" : "short";
  event.fields.emplace_back("free_before_bytes", result.free_before);
  event.fields.emplace_back("free_after_bytes", result.free_after);
  event.fields.emplace_back("wanted_bytes", end.wanted);
  event.fields.emplace_back("mount", end.mount);
  event.fields.emplace_back("steps", static_cast<std::int64_t>(result.steps.size()));
  event.fields.emplace_back("dry_run", request.dry_run);
  event.fields.emplace_back("on_behalf_of", request.on_behalf_of);
  if (is_on_demand(request) && result.steps.empty()) event.fields.emplace_back(ports::kOnDemandField, true);
  return event;
}

ports::Event collected_event(const ports::SpaceRequest& request, const ports::SpaceResult& result,
                             const GoalStatus& end) {
  policy::FreedSpace freed;
  for (const auto& step : result.steps) freed += step.freed;
  ports::Event event;
  event.kind = "reclaim.done";
  event.rule = "collected";
  event.reason =
      format("{}{} for {}: {}; {}.", request.dry_run ? "Would take " : "", counted(result.steps.size(), "step"),
             request.on_behalf_of, policy::to_text(freed), figures(end));
  event.fields.emplace_back("free_before_bytes", result.free_before);
  event.fields.emplace_back("free_after_bytes", result.free_after);
  add_freed(event, freed);
  event.fields.emplace_back("mount", end.mount);
  event.fields.emplace_back("steps", static_cast<std::int64_t>(result.steps.size()));
  event.fields.emplace_back("dry_run", request.dry_run);
  event.fields.emplace_back("on_behalf_of", request.on_behalf_of);
  return event;
}

}  // namespace buildwarden::disk
