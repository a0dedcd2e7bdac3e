// Whether a checkout is idle, and which of the idle ones goes last. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "daemon/policy/ladder.h"

namespace buildwarden::policy {

// <builds>/<agent>/<org>/<pipeline>: the names of the folders, and the whole path without links.
struct Checkout {
  std::string agent;
  std::string org;
  std::string pipeline;
  std::string path;
  WallTime used_at{};  // last
};

// A job that runs, by whatever it is known.
struct JobOnHost {
  std::string job;                  // its id; "" when nobody said
  std::string agent;                // "" when nobody said
  std::string checkout;             // without links; "" when nobody said
  std::string known_by;             // "lease 12", "process 4711 of buildkite-agent.service"
  std::optional<WallTime> since{};  // where it is known
};

// A job that asks whether it may run, so it has not checked out yet.
struct JobToCome {
  std::string job;
  std::string agent;
  std::string pipeline;  // "build" or "org/build"
  std::string checkout;  // where it will be, without links
  bool asks = false;     // room is made for it now
};

struct CheckoutUse {
  std::string in_use_by;  // "" = idle
  // Room is made for a job of its agent: an agent runs one job at a time, so the one before is over and no age speaks
  // for what it left.
  bool given_up = false;
  bool last = false;  // a job that is to come would go on with it
};

// The folder that an agent of this name has below the builds: each character but ASCII letters and digits is a dash
// (agent, internal/job: dirForAgentName).
std::string agent_folder(std::string_view agent);

// Whether a folder of this name may be a part of a checkout's path: nothing hidden is.
bool is_checkout_part(std::string_view name);

// Who knows least decides: a job without a checkout has all of its agent's, one without an agent has everybody's. A job
// that
// is to come does not count as running, as long as the checkout was not used since its start. `open_by`: who has
// something open below, "" when nobody has.
CheckoutUse judge_checkout(const Checkout& checkout, const std::vector<JobOnHost>& running,
                           const std::vector<JobToCome>& to_come, const std::string& open_by);

// What the checkouts hold that go when a job has ended.
struct HeldAtEnd {
  Bytes bytes = 0;
  std::int64_t inodes = 0;
  bool is_known = true;  // false: it is at least so much
};

// Whether the checkout is one of that job's agent, and no other job uses it: an agent runs one job at a time, so it is
// idle once this one has ended.
bool goes_at_end(const Checkout& checkout, const std::vector<JobOnHost>& running, const std::string& job);

// Whether the goal would be met with that free besides; also where nobody knows.
bool is_enough(const Goal& goal, Reading reading, const HeldAtEnd& held);

}  // namespace buildwarden::policy
