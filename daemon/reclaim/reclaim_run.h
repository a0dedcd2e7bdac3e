// One climb of the ladder on its way; inside of the reclaimer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "daemon/policy/freed_space.h"
#include "daemon/reclaim/reclaimer.h"

namespace buildwarden::disk {

struct Reclaimer::ReclaimRun {
  ports::SpaceRequest request;
  ports::Progress progress;
  ports::SpaceResult result;
  std::vector<ports::FilesystemSnapshot> seen;  // the last measurement; a dry run adds here what would be free
  GoalStatus at;                                // what it means
  std::map<std::string, Bytes> free_at_first;   // by mount, when it began
  BootTime until{};                             // when the requester's patience ends
  std::map<policy::RungId, policy::SparedByRule> spared_by;  // what the last turn of each rung left alone
  // When they were asked for: the largest of what each evictor's last turn left alone, and how many more there were.
  struct Kept {
    std::vector<ports::KeptThing> things;
    std::size_t left_off = 0;
  };
  std::map<const ports::Evictor*, Kept> kept_by;
  std::uint64_t settings = 0;      // the reclaimer's, when its steps were laid out
  BootTime looked{};               // when it was measured
  Duration settle{0};              // shortened once nothing showed
  Bytes owed = 0;                  // was reported as freed and does not show: written by others, or still to come
  bool in_haste = false;           // others fill the disk while it pauses: it does not pause any more
  ports::Evictor* only = nullptr;  // a collection by this rung, without a goal
  // Devices that were well when the background asked for others: nothing is deleted for them on the way.
  std::set<std::string> spared;
  bool began_is_told = false;
  // Dry run: what would have been deleted by now; later turns would list it again.
  std::shared_ptr<policy::DryRunState> pretended = std::make_shared<policy::DryRunState>();
  std::shared_ptr<policy::DryRunCache> found;  // nothing: it is no dry run
};

struct Reclaimer::ReclaimStep {
  ports::Evictor* rung = nullptr;
  policy::RungTurn turn;  // as the level of the filesystems that the rung frees wants it
};

// What a ranking says beside its order.
struct Reclaimer::RankingNotes {
  policy::SparedByRule spared;
  std::vector<policy::Skipped> kept;  // when it was asked for
  std::size_t left_off = 0;

  static RankingNotes of(policy::Ranking& ranking, bool list_kept) {
    RankingNotes notes;
    notes.spared = policy::spared(ranking.skipped);
    if (!list_kept) return notes;
    const auto all = ranking.skipped.size();
    policy::keep_largest(ranking.skipped, ports::kMostKeptOfRung);
    notes.left_off = all - ranking.skipped.size();
    notes.kept = std::move(ranking.skipped);
    return notes;
  }
};

struct Reclaimer::RungVisit {
  struct Sums {
    std::size_t deletions = 0;
    Bytes promised = 0;  // by the candidates' sizes
    Bytes reported = 0;
    policy::FreedSpace freed{};
    bool failed = false;
  };
  RungVisit(ports::Evictor& of, policy::RungTurn at) : rung(of), turn(std::move(at)) {
    using enum policy::RungId;
    if (turn.rung != kUnused) sums[turn.rung];
    if (turn.rung == kUnused) sums = {{kBuildCache, {}}, {kImages, {}}};
  }
  // Of a candidate: its own rung's where one turn takes several rungs' candidates.
  [[nodiscard]] policy::RungTurn turn_of(const policy::Candidate& candidate, Duration grace) const {
    auto its = turn;
    its.rung = candidate.rung.value_or(turn.rung);
    if (candidate.is_over_share) its.age = grace;
    return its;
  }
  [[nodiscard]] Sums& of(const policy::Candidate& candidate) { return sums[candidate.rung.value_or(turn.rung)]; }
  void fail() {
    for (auto& [id, sum] : sums) sum.failed = true;
  }

  ports::Evictor& rung;
  policy::RungTurn turn;
  std::map<policy::RungId, Sums> sums;  // by the rung that they are shown for
};

}  // namespace buildwarden::disk
