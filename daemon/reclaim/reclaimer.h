// Makes room: climbs the ladder, one deletion at a time, measuring after each, until there is enough.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/async_mutex.h"
#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"
#include "daemon/reclaim/reclaim_goal.h"
#include "daemon/reclaim/reclaim_stats.h"

namespace buildwarden::disk {

struct ReclaimPace {
  Duration settle{2'000};  // freed space may show late: how long it is waited for after one deletion
  Duration poll{50};       // in between
  // Between two deletions of the background while it is not critical and nobody fills the disk meanwhile.
  Duration pause{20};
};

// `free` 0 in a request stands for the target marks of the filesystems that a reclaim can free; when the background
// asks (not `on_request`), of those that were in need when it asked. `wait` 0 means no time:
// only what is there already is looked at (a dry run takes no notice of `wait`). One reclaim at a time, whoever asks.
// Must outlive its coroutines; used on the loop only.
class Reclaimer final : public ports::Space {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    ports::Journal& journal;
    const ports::InUse& in_use;
    ports::FilesystemProbe& probe;
    std::vector<ports::Evictor*> rungs;
    ReclaimPace pace{};
    // Whether only the gentle rungs may run, because the operator's wishes are not known yet; may be empty.
    std::function<bool()> only_gentle{};
    // For tests: awaited between plan and deletion, directly before a candidate is taken; may be empty.
    std::function<boost::asio::awaitable<void>(policy::Candidate)> before_evict{};
    // Long lists are ranked there; nothing: on the loop.
    WorkerPool* workers = nullptr;
    // Why the engine cannot be asked for anything now, "" when it can; may be empty.
    std::function<std::string()> engine_away{};
  };
  explicit Reclaimer(Parts parts);

  ports::Async<ports::SpaceResult> ensure(ports::SpaceRequest request, ports::Progress progress) override;
  // Takes all that `rung` lists for that turn (a cache over its share, empty networks), however much is free; ends
  // early when somebody who needs space waits. Each step and the end are recorded like those of a reclaim, nothing when
  // there was nothing to take.
  boost::asio::awaitable<void> collect(ports::Evictor* rung, policy::RungTurn turn, std::string on_behalf_of);
  // A reclaim under way ends after the deletion that it is at; further ones do nothing.
  void stop() { loop_timer_.stop(); }
  // The settings are others now: nothing that was listed by the old ones is taken any more, and a reclaim under way
  // begins again by the new ones, or ends when dry_run came on.
  void settings_changed() { ++settings_; }
  // Whether any rung frees that filesystem.
  [[nodiscard]] bool can_free(const ports::FilesystemSnapshot& filesystem) const;
  [[nodiscard]] bool busy() const { return mutex_.is_locked(); }
  [[nodiscard]] std::vector<ports::RungStats> stats() const { return stats_.all(); }

 private:
  struct ReclaimRun;
  struct ReclaimStep;
  struct RungVisit;
  struct RankingNotes;
  boost::asio::awaitable<void> run(ReclaimRun& run);
  boost::asio::awaitable<void> run_rung(ReclaimRun& run, ports::Evictor& rung, policy::RungTurn turn);
  // What may go, least recently used first; notes what may not.
  ports::Async<std::vector<policy::Candidate>> rank(ReclaimRun& run, RungVisit& visit,
                                                    std::vector<policy::Candidate> candidates);
  // What a rung leaves alone, for who asks why.
  void note_kept(ReclaimRun& run, const RungVisit& visit, RankingNotes notes);
  static void collect_kept(ReclaimRun& run);
  // What could not be listed is told, and hinders.
  void note_lack(ReclaimRun& run, RungVisit& visit);
  // Of a rung that failed: what asks for room may have another way to delete images.
  static void note_failure(ReclaimRun& run, policy::RungId rung, const Error& error);
  void note_engine(ReclaimRun& run) const;
  // What each filesystem had free at first, and what the one has that its end is about.
  static void note_first(ReclaimRun& run);
  static void note_last(ReclaimRun& run);
  // Freed on a worker when they are many.
  void discard(std::vector<policy::Candidate> candidates);
  void discard(ReclaimRun& run);
  boost::asio::awaitable<void> evict_all(ReclaimRun& run, RungVisit& visit, std::vector<policy::Candidate>* order);
  boost::asio::awaitable<void> look(ReclaimRun& run);
  // One turn of the loop: take, measure, record. false: the rung has failed.
  boost::asio::awaitable<bool> evict_one(ReclaimRun& run, RungVisit& visit, policy::Candidate candidate);
  // Waits until what was reported shows where that may be the end; the answer: by how much more is free there.
  boost::asio::awaitable<policy::FreedSpace> settle(ReclaimRun& run, Frees where,
                                                    std::vector<policy::FreeReading> free_before, Bytes reported);
  [[nodiscard]] static bool would_end(const ReclaimRun& run, const Frees& where, Bytes owed);
  // Why it began: once, when there is something to take. A collection needs no reason.
  void tell_began(ReclaimRun& run);
  void pretend(ReclaimRun& run, RungVisit& visit, const policy::Candidate& candidate);
  struct Effect {
    Bytes reported = 0;
    policy::FreedSpace freed{};
    GoalStatus after{};  // where it shows
  };
  void record(ReclaimRun& run, const RungVisit& visit, const policy::Candidate& candidate, Effect effect);
  [[nodiscard]] static bool goes_gently(const ReclaimRun& run);
  // Whether its end is worth an event; counts those in the background that were for nothing.
  [[nodiscard]] bool is_told(const ReclaimRun& run);
  void finish_rung(RungVisit& visit, Duration took);
  [[nodiscard]] bool over(const ReclaimRun& run) const;
  [[nodiscard]] bool outdated(const ReclaimRun& run) const;
  // Whether a filesystem is still short that the rung frees; with a device: that one.
  [[nodiscard]] bool helps(const ReclaimRun& run, const ports::Evictor& rung, const std::string& device) const;
  [[nodiscard]] GoalStatus goal_status_of_collection(const ReclaimRun& run) const;
  [[nodiscard]] std::vector<ReclaimStep> steps_for(const ReclaimRun& run) const;
  [[nodiscard]] std::vector<policy::RungTurn> turns(policy::Level level) const;
  // Whether there is a rung of images and caches together.
  [[nodiscard]] bool has_one_order() const;
  [[nodiscard]] GoalStatus goal_status_of(const ReclaimRun& run) const;
  [[nodiscard]] GoalStatus goal_status_of(const ReclaimRun& run, const ports::Evictor& rung,
                                          const std::string& device) const;
  [[nodiscard]] GoalStatus goal_status_at(const ReclaimRun& run, const Frees& where) const;
  [[nodiscard]] std::string reason_for(const ReclaimRun& run) const;
  [[nodiscard]] static std::string kept_text(const ReclaimRun& run);
  // Of a dry run: what the last rung would do about a filesystem that would still be critical.
  [[nodiscard]] std::optional<ports::LastResortView> last_resort(const ReclaimRun& run) const;

  Parts parts_;
  ReclaimStats stats_;
  AsyncMutex mutex_;
  LoopTimer loop_timer_;
  std::uint64_t settings_ = 0;  // how often they have changed
  // The filesystem that was short, and how, when the latest in the background freed nothing; and how many in a row.
  std::pair<std::string, policy::Level> in_vain_{"", policy::Level::kOk};
  std::int64_t tries_in_vain_ = 0;
};

}  // namespace buildwarden::disk
