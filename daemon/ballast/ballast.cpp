#include "daemon/ballast/ballast.h"

#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "common/detached_call.h"
#include "common/format.h"
#include "daemon/ballast/ballast_events.h"
#include "daemon/ballast/ballast_places.h"

namespace buildwarden::disk {
namespace {

using policy::BallastAct;

constexpr Duration kPatience = std::chrono::seconds{5};   // for a piece of work, before it is said that it hangs
constexpr Duration kLookAgain = std::chrono::minutes{1};  // somebody may have deleted it
constexpr Duration kAfterFailure = std::chrono::minutes{1};
constexpr Duration kAfterFailedGive = std::chrono::seconds{1};

Result<BallastDone> guarded(const BallastHand& hand, const BallastWork& work) {
  try {
    return hand(work);
  } catch (const std::exception& error) {
    return Error(Errc::kIo, error.what());
  }
}

bool same(const policy::BallastPlan& one, const policy::BallastPlan& other) {
  return one.act == other.act && one.size == other.size;
}

}  // namespace

struct Ballast::Keeper {
  std::optional<Bytes> held;  // nothing: not looked yet
  policy::BallastPlan plan;   // the one that is at work, or was last
  std::unique_ptr<DetachedCall<Result<BallastDone>>> work;
  BootTime begun{};
  BootTime looked{};
  BootTime not_before{};
  std::string said;  // the last failure that was recorded
  std::optional<policy::BallastPlan> pretended;
};

Ballast::Ballast(Parts parts) : parts_(std::move(parts)) {}

Ballast::~Ballast() = default;

void Ballast::turn(const Loop& loop) {
  const auto filesystems = parts_.filesystems.answered();
  std::erase_if(keepers_,
                [&filesystems](const auto& entry) { return find_filesystem(filesystems, entry.first) == nullptr; });
  for (const auto& filesystem : filesystems) tend(filesystem, keepers_[filesystem.name], loop);
}

void Ballast::tend(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Loop& loop) {
  if (keeper.work && !take_in(filesystem, keeper)) return;
  const auto now = parts_.clock.now().boot;
  if (stopping_ || now < keeper.not_before) return;
  if (const auto unfit = why_unfit(filesystem); !unfit.empty()) {
    parts_.filesystems.show_ballast(filesystem.name, {0, unfit, "unfit"});
    return;
  }
  if (!filesystem.reading || !filesystem.error.empty()) return;
  if (!keeper.held || now - keeper.looked >= kLookAgain) {
    keeper.plan = {};
    begin(filesystem, keeper, loop);
    return;
  }
  act(filesystem, keeper, loop);
}

// false: it is still at work.
bool Ballast::take_in(const ports::FilesystemSnapshot& filesystem, Keeper& keeper) {
  const auto now = parts_.clock.now().boot;
  const auto result = keeper.work->collect();
  if (result) {
    keeper.work.reset();
    if (*result) {
      conclude(filesystem, keeper, **result);
    } else {
      fail(filesystem, keeper, result->error());
    }
    return true;
  }
  if (now - keeper.begun <= kPatience) return false;
  const auto hangs = format("nothing was heard of the work on it for {}", short_duration(kPatience));
  if (keeper.said != hangs) parts_.journal.record(ballast_failed_event(filesystem, hangs, "hangs"));
  keeper.said = hangs;
  parts_.filesystems.show_ballast(filesystem.name, {keeper.held.value_or(0), hangs, "hangs"});
  return false;
}

void Ballast::conclude(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const BallastDone& done) {
  const auto now = parts_.clock.now().boot;
  BallastStory story{filesystem, keeper.plan};
  story.before = keeper.held.value_or(0);
  story.done = done;
  story.took = now - keeper.begun;
  keeper.held = done.held;
  keeper.looked = now;
  keeper.said.clear();
  parts_.filesystems.show_ballast(filesystem.name, {done.held, keeper.plan.reason, keeper.plan.rule});
  if (keeper.plan.act == BallastAct::kKeep) return;
  // What we took or gave is no trend.
  parts_.filesystems.forget_history(filesystem.name);
  parts_.journal.record(ballast_event(story));
}

void Ballast::fail(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Error& error) {
  const auto now = parts_.clock.now().boot;
  const bool given = keeper.plan.act == BallastAct::kGive;
  keeper.not_before = now + (given ? kAfterFailedGive : kAfterFailure);
  if (error.code() == Errc::kInvalid) keeper.not_before = BootTime::max();
  if (keeper.said != error.message()) {
    parts_.journal.record(ballast_failed_event(filesystem, error.message(), std::string(to_string(error.code()))));
  }
  keeper.said = error.message();
  parts_.filesystems.show_ballast(filesystem.name, {keeper.held.value_or(0), error.message(), "failed"});
}

void Ballast::act(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Loop& loop) {
  policy::BallastSituation situation;
  situation.reading = filesystem.reading;
  situation.level = filesystem.pressure.level;
  situation.reclaim = filesystem.pressure.reclaim;
  situation.marks = filesystem.marks;
  situation.held = *keeper.held;
  keeper.plan = policy::plan_ballast(parts_.settings.disk, situation);
  // Asked only when it matters: it looks at files.
  if (keeper.plan.act == BallastAct::kMake && parts_.only_gentle && parts_.only_gentle()) {
    situation.wishes_known = false;
    keeper.plan = policy::plan_ballast(parts_.settings.disk, situation);
  }
  parts_.filesystems.show_ballast(filesystem.name, {*keeper.held, keeper.plan.reason, keeper.plan.rule});
  if (keeper.plan.act == BallastAct::kKeep) return;
  if (parts_.settings.dry_run) {
    pretend(filesystem, keeper);
  } else {
    begin(filesystem, keeper, loop);
  }
}

void Ballast::pretend(const ports::FilesystemSnapshot& filesystem, Keeper& keeper) {
  if (keeper.pretended && same(*keeper.pretended, keeper.plan)) return;
  keeper.pretended = keeper.plan;
  BallastStory story{filesystem, keeper.plan};
  story.before = *keeper.held;
  story.dry_run = true;
  parts_.journal.record(ballast_event(story));
}

void Ballast::begin(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Loop& loop) {
  BallastWork work;
  work.key = filesystem.key;
  work.places = places_on(filesystem, parts_.settings.paths.state, parts_.filesystems.mounts());
  work.act = keeper.plan.act;
  work.size = keeper.plan.size;
  work.floor = filesystem.marks.target;
  keeper.begun = parts_.clock.now().boot;
  keeper.work = std::make_unique<DetachedCall<Result<BallastDone>>>();
  auto job = [hand = parts_.hand, work = std::move(work)] { return guarded(hand, work); };
  keeper.work->begin(std::move(job), loop, [this, loop] { turn(loop); });
}

}  // namespace buildwarden::disk
