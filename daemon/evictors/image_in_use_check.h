// What protects images: asked when a plan is made, and once more directly before each deletion.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/last_use.h"

namespace buildwarden::disk {

class ImageInUseCheck {
 public:
  struct Parts {
    ports::Images& images;
    ports::Containers& containers;
    const ports::EngineState& engine;
    const ports::InUse& in_use;
    const ports::LastUses& ledger;
    const Clock& clock;
    // A ledger that has just been connected is waited for, real time: without images the ladder would begin too high.
    Duration ledger_patience = std::chrono::seconds{3};
  };
  explicit ImageInUseCheck(Parts parts);

  // The images as candidates, users and protection marked: those without a name (`dangling`) or those with, and beside
  // them the others, whose layers they may share. What was planned before is void. In a dry run containers that were
  // pretended to be deleted use nothing, and the images are those of its first list. kUnavailable: no engine, or the
  // ledger does not know it yet.
  ports::Async<std::vector<policy::Candidate>> plan(bool dangling, policy::RungTurn turn);
  // Why the candidate must be left alone now: in use, protected, used since, another engine. "" when nothing speaks
  // for it.
  ports::Async<std::string> ask_again(policy::Candidate candidate);
  // The part of it that needs no waiting, for the last moment before a request is sent.
  [[nodiscard]] std::string changed(const policy::Candidate& candidate) const;
  // It was deleted: what it was built on may follow.
  void gone(const policy::Candidate& candidate) { gone_.insert(candidate.id); }
  // Nothing of the last plan is asked about any more.
  void forget_plan() { planned_.reset(); }

 private:
  boost::asio::awaitable<bool> ledger_knows(ports::EngineIdentity identity);
  using Listed = std::shared_ptr<const std::vector<ports::ImageRecord>>;
  ports::Async<Listed> images(std::shared_ptr<policy::DryRunCache> found);
  struct Users {
    std::map<std::string, std::string> by_name;                 // normalised reference or id → "container web"
    std::vector<std::pair<std::string, std::string>> by_start;  // the same by how an id begins
  };
  ports::Async<Users> users(std::shared_ptr<const policy::DryRunState> pretended);
  [[nodiscard]] std::string user_of(const Users& users, const policy::Candidate& candidate) const;
  [[nodiscard]] std::string protection_of(const policy::Candidate& candidate) const;
  [[nodiscard]] policy::Candidate candidate_of(const ports::ImageRecord& image, Now now) const;
  // Whether one that is built on it stays after all, or was used since.
  [[nodiscard]] std::string changed_above(const policy::Candidate& candidate, Now now) const;

  Parts parts_;
  ports::EngineIdentity planned_on_;
  Listed planned_;              // all images that there were
  std::set<std::string> gone_;  // of them, by id: deleted since
};

}  // namespace buildwarden::disk
