// What protects images: asked when a plan is made, and once more directly before each deletion.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/disk/ledger.h"
#include "daemon/policy/candidate.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"

namespace buildwarden::disk {

class ImageGuard {
 public:
  struct Parts {
    ports::Images& images;
    ports::Containers& containers;
    const ports::EngineState& engine;
    const ports::InUse& in_use;
    const Ledger& ledger;
    const Clock& clock;
    // A ledger that has just been connected is waited for, real time: without images the ladder would begin too high.
    Duration ledger_patience = std::chrono::seconds{3};
  };
  explicit ImageGuard(Parts parts);

  // The images as candidates, users and protection marked: those without a tag (`dangling`), or those with. What was
  // planned before is void. In a dry run containers that were pretended to be deleted use nothing, and the images are
  // those of its first list. kUnavailable: no engine, or the ledger does not know it yet.
  ports::Async<std::vector<policy::Candidate>> plan(bool dangling, policy::RungTurn turn);
  // Why the candidate must be left alone now: in use, protected, used since, another engine. "" when nothing speaks
  // for it.
  ports::Async<std::string> ask_again(policy::Candidate candidate);
  // The part of it that needs no waiting, for the last moment before a request is sent.
  [[nodiscard]] std::string changed(const policy::Candidate& candidate) const;

 private:
  boost::asio::awaitable<bool> ledger_knows(ports::EngineIdentity identity);
  using Listed = std::shared_ptr<const std::vector<ports::ImageRecord>>;
  ports::Async<Listed> images(std::shared_ptr<policy::Findings> found);
  using Users = std::map<std::string, std::string>;  // image id or normalised reference → "container web"
  ports::Async<Users> users(std::shared_ptr<const policy::Pretended> pretended);
  [[nodiscard]] std::string user_of(const Users& users, const policy::Candidate& candidate) const;
  [[nodiscard]] std::string protection_of(const policy::Candidate& candidate) const;

  Parts parts_;
  ports::EngineIdentity planned_on_;
};

}  // namespace buildwarden::disk
