// Rungs 4 and 6: build caches, of the engine's own builder and of every container builder.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/policy/worth_inputs.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/worth.h"

namespace buildwarden::disk {

struct CacheSource {
  std::string key;              // without blanks; part of the candidates' ids
  std::string name;             // for people: "the engine's build cache"
  ports::BuildCache* cache;     // outlives the evictor
  Amount share;                 // of the filesystem that it lies on: rung 6 goes no further
  bool is_engines_own = false;  // takes part only when the turn says so
  std::string builder{};        // as in policy::Thing: "" is the engine's
};

// In steps of a few hundred megabytes, least recently used first, whichever cache they are of. A candidate is one step:
// a list of records, deleted by id. Lost: a rebuild of layers that nobody asked for within the age (rung 4), or that
// exceed the share (rung 6).
class BuildCacheEvictor final : public ports::Evictor {
 public:
  struct Parts {
    std::function<std::vector<CacheSource>()> sources;  // as they are now: a reload may change them between two steps
    const ports::EngineState& engine;
    const ports::InUse& in_use;
    ports::FilesystemProbe& probe;
    ports::Journal& journal;
    const Settings& settings;
    const Clock& clock;
    WorkerPool& workers;  // planning over a hundred thousand records takes longer than the loop may be kept
    // Whether the wall clock was not set within that time: while it was, ages by it are worth nothing.
    std::function<bool(Duration)> clock_is_steady_for;
    ports::LearnedWorth* worth = nullptr;       // what was learned of the caches; nothing: they are ranked by last use
    ports::DeletionWitness* witness = nullptr;  // told what went, where it was ranked by value; nothing: nobody is
  };
  // `id` is kBuildCache or kBuildCacheShare.
  BuildCacheEvictor(policy::RungId id, Parts parts);

  [[nodiscard]] policy::RungId id() const override { return id_; }
  // The engine's own cache lies with its images, the builders' in its volumes, which may be another filesystem.
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return !filesystem.keeps.empty();
  }
  // A source that fails is recorded and the others are listed; an error when none can be. One that is not there
  // (kNotFound) has nothing.
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  // What BuildKit passed over, since it is used again or something was built on it, is told in the journal.
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { planned_.clear(); }

 private:
  struct Planned {
    std::string source;  // its key
    policy::CacheStep step;
    std::map<std::string, policy::LostRecord> lost{};  // by id, as far as it is known
  };
  boost::asio::awaitable<void> tell(const CacheSource* source, const Planned* planned,
                                    const std::set<std::string>* left);
  ports::Async<std::vector<policy::Candidate>> list_all(policy::RungTurn turn);
  // Where caches lie, if anybody knows. Without a reading of it `total` is 0.
  struct Home {
    bool is_known = false;
    std::string device;
    Bytes total = 0;
  };
  struct Homes {
    Home engine;
    Home builders;
  };
  ports::Async<std::vector<policy::Candidate>> list_one(const CacheSource* source, policy::RungTurn turn, Home home);
  void remember(const policy::RungTurn& turn, const policy::Candidate& candidate, Planned planned);
  ports::Async<ports::EvictionResult> prune(policy::Candidate candidate, policy::RungTurn turn);
  // Why the plan does not hold any more; "" when it does.
  [[nodiscard]] std::string outdated() const;
  // Since the plan the age may have risen, and an older job may have been found.
  [[nodiscard]] Duration unused_for(const policy::CacheStep& step, const policy::RungTurn& turn) const;
  [[nodiscard]] static ports::EvictionResult result_of(const Planned& planned, const policy::Candidate& candidate,
                                                       const ports::CachePrune& done);
  // kUnavailable where a share is asked for of a filesystem whose size is not known.
  ports::Async<Homes> homes();
  [[nodiscard]] static bool has_size(const Home& home);
  [[nodiscard]] bool ages_are_known(const policy::RungTurn& turn, Now now) const;

  policy::RungId id_;
  Parts parts_;
  ports::EngineIdentity planned_on_;        // the same list's
  std::map<std::string, Planned> planned_;  // of the last list(), by the candidate's id; a dry run has its own
};

}  // namespace buildwarden::disk
