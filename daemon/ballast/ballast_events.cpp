#include "daemon/ballast/ballast_events.h"

#include "common/format.h"

namespace buildwarden::disk {
namespace {

using policy::BallastAct;

std::string kind_of(BallastAct act) {
  if (act == BallastAct::kMake) return "ballast.made";
  return act == BallastAct::kGive ? "ballast.given" : "ballast.removed";
}

std::string sentence(const BallastStory& story) {
  const auto& plan = story.plan;
  const auto& mount = story.filesystem.mount;
  if (story.dry_run) {
    return format("The ballast on {} would go from {} to {}: {}.", mount, format_bytes(story.before),
                  format_bytes(plan.size), plan.reason);
  }
  const auto free = format("{} are free now", format_bytes(story.done.free));
  if (plan.act == BallastAct::kMake) {
    return format("{} more are held as ballast on {}, {} in all: {}; {}.", format_bytes(story.done.held - story.before),
                  mount, format_bytes(story.done.held), plan.reason, free);
  }
  return format("{} of the ballast on {} were given back, {} of it stay: {}; by the disk that {}, and {}.",
                format_bytes(story.before - story.done.held), mount, format_bytes(story.done.held), plan.reason,
                policy::to_text(story.done.freed), free);
}

}  // namespace

ports::Event ballast_event(const BallastStory& story) {
  ports::Event event;
  event.kind = kind_of(story.plan.act);
  if (story.plan.act == BallastAct::kGive) event.severity = ports::Severity::kWarning;
  event.rule = story.plan.rule;
  event.reason = sentence(story);
  event.fields.emplace_back("device", story.filesystem.device);
  event.fields.emplace_back("mount", story.filesystem.mount);
  event.fields.emplace_back("before_bytes", story.before);
  event.fields.emplace_back("ballast_bytes", story.dry_run ? story.plan.size : story.done.held);
  event.fields.emplace_back("dry_run", story.dry_run);
  if (story.dry_run) return event;
  if (story.plan.act != BallastAct::kMake && story.done.freed.is_known()) {
    event.fields.emplace_back("freed_bytes", story.done.freed.bytes());
  }
  event.fields.emplace_back("free_bytes", story.done.free);
  event.fields.emplace_back("seconds", static_cast<double>(story.took.count()) / 1000.0);
  return event;
}

ports::Event ballast_failed_event(const ports::FilesystemSnapshot& filesystem, const std::string& why,
                                  const std::string& rule) {
  ports::Event event;
  event.kind = "ballast.failed";
  event.severity = ports::Severity::kWarning;
  event.rule = rule;
  event.reason = format("The ballast on {}: {}.", filesystem.mount, why);
  event.fields.emplace_back("device", filesystem.device);
  event.fields.emplace_back("mount", filesystem.mount);
  return event;
}

}  // namespace buildwarden::disk
