// What BuildKit remembers of finished builds is deleted when nobody holds the builder any more. The records have each
// build's attributes, among them the S3 keys of its cache, and every client of the builder can read them. What their
// steps took is read before, and nothing else of them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <set>
#include <string>

#include "common/loop_timer.h"
#include "common/time.h"
#include "config/settings.h"
#include "daemon/builders/caches.h"
#include "daemon/builders/handout.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/worth.h"

namespace buildwarden::builders {

// On the loop's thread alone. Must outlive run(), which ends promptly after stop(). On a builder that somebody always
// holds the configured age of the history empties it, within two minutes: a record that goes while its own client still
// asks for it would fail that client's build.
class BuildHistories {
 public:
  struct Parts {
    const Handout& handout;
    ports::Journal& journal;
    const Settings& settings;  // a dry run deletes nothing
    // Told what the builds' steps took before that is deleted; nothing: nobody wants to know.
    ports::CostLearner* costs = nullptr;
  };
  // What `caches` names outlives it.
  BuildHistories(CacheList caches, Parts parts);

  // Its last lease has ended.
  void left(const std::string& builder);

  // One turn: forgets the builds of those that were left since the last one, and that nobody holds again. One that does
  // not do it is told of in the journal (`builder.history_kept`, each reason once) and asked again: in the next turn,
  // then after 2, 4, … 64 turns.
  boost::asio::awaitable<void> turn();
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }

 private:
  boost::asio::awaitable<void> loop();
  void note(const std::string& builder, const Result<void>& done);
  // What cannot be read is not known: the secrets go all the same.
  boost::asio::awaitable<void> learn_from(BuilderCache* cache);

  CacheList caches_;
  Parts parts_;
  struct Failures {
    int count = 0;  // in a row
    int pause = 0;  // turns until it is asked again
  };
  // Whether it is asked in this turn.
  bool is_due(const std::string& builder);

  std::set<std::string> left_;
  // By builder, when the last step ended that was learned and that it still remembers, since forgetting failed.
  std::map<std::string, WallTime> learned_until_;
  std::map<std::string, Failures> failures_;          // by builder
  std::map<std::string, std::string> last_failures_;  // by builder
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::builders
