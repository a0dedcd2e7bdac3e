// What BuildKit says of itself: its version and the platforms that it builds for. Asked in the background.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/loop_timer.h"
#include "common/result.h"
#include "daemon/ports/engine.h"

namespace buildwarden::builders {

struct WorkerFacts {
  std::string version;                 // "v0.13.1"; "" = not known
  std::vector<std::string> platforms;  // "linux/amd64", "linux/arm/v7", …; empty = not known
};

// Of `buildctl debug workers --format '{{json .}}'`; of several workers the first one's version, and all platforms
// once. kProtocol: not what the command promises.
Result<WorkerFacts> decode_workers(std::string_view text);

// Of `buildkitd --version` ("buildkitd github.com/moby/buildkit v0.13.1 2"); "" of anything else. For a BuildKit whose
// workers do not tell theirs.
std::string decode_version(std::string_view text);

// On the loop's thread alone. Must outlive run(), which ends promptly after stop().
class WorkerFactsKeeper {
 public:
  struct Parts {
    ports::Containers& containers;
    ports::ContainerControl& control;
    std::function<std::vector<std::string>()> warm;  // the builders that may be asked now
  };
  explicit WorkerFactsKeeper(Parts parts);

  // One turn: asks the builders of which this start of their container was not asked yet.
  boost::asio::awaitable<void> turn();
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }
  // A builder may have been started anew: the next turn comes at once.
  void look_now() { loop_timer_.wake(); }
  // The platforms of the host changed: every builder is asked again, which makes BuildKit look for them, once what it
  // found before is too old for it.
  void ask_again();

  // As last asked; of a builder that is being started anew those of before.
  [[nodiscard]] WorkerFacts of(const std::string& builder) const;

 private:
  boost::asio::awaitable<void> loop();
  boost::asio::awaitable<bool> ask(std::string builder);  // whether this start of it is known
  ports::Async<std::string> run_in(std::string container, std::vector<std::string> command);

  struct Known {
    std::string start;  // which start of which container
    WorkerFacts facts;
  };
  Parts parts_;
  std::map<std::string, Known> known_;
  LoopTimer loop_timer_;
  unsigned round_ = 0;             // counts ask_again(): an answer that was under way then is asked for again
  LoopTimer::Instant not_before_;  // when what BuildKit found before ask_again() is too old for it
  bool complete_ = true;           // the last turn left no builder to be asked soon again
};

}  // namespace buildwarden::builders
