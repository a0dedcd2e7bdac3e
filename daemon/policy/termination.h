// Draining and terminating the instance, the last thing that helps against a full disk: which step comes next. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::policy {

// The numbers are those of the metric.
enum class TerminationState : std::uint8_t {
  kNone = 0,         // nothing asks for it, or it is not allowed
  kHeld = 1,         // the disk asks for it, and a guard forbids it
  kWaiting = 2,      // a random moment, so that many instances do not go together
  kDraining = 3,     // the agent was told to stop; its jobs run to their end
  kReporting = 4,    // jobs report their end, the log is shipped
  kTerminating = 5,  // the Auto Scaling group is asked, again and again
  kDone = 6,         // the instance goes
  kFailed = 7,       // what trying again soon does not cure; tried again slowly
  kWithdrawing = 8,  // not needed any more: the agent ends its jobs and is started again
};
// "none", "held", "waiting", "draining", "reporting", "terminating", "done", "failed", "withdrawing".
std::string_view to_string(TerminationState state);

enum class TerminationAction : std::uint8_t {
  kRest,
  kIdentify,    // ask the instance's metadata who it is
  kDescribe,    // ask the Auto Scaling group for the instance's state
  kTermAgent,   // SIGTERM to the agent's main process
  kQuitAgent,   // SIGQUIT
  kTell,        // a line into the stack's log
  kTerminate,   // TerminateInstanceInAutoScalingGroup
  kSetHealth,   // SetInstanceHealth Unhealthy
  kWithdraw,    // nothing but the record
  kStartAgent,  // after a withdrawal
  kForget,      // remove the intent
  kFinish,      // nothing but the record: the instance goes
};
// "identify", "describe", "sigterm", "sigquit", "tell", "terminate", "unhealthy", …: as in the intent.
std::string_view to_string(TerminationAction action);
std::optional<TerminationAction> action_named(std::string_view name);

// What came of a call or a step.
enum class TerminationOutcome : std::uint8_t {
  kOpen,         // not known: it is under way, or the daemon ended meanwhile
  kDone,         // accepted; sent
  kThrottled,    // and everything else that passes by itself: 5xx, a scaling activity under way
  kUnreachable,  // no network, no endpoint, no answer in time: it may have happened all the same
  kMinimumSize,  // the group may not become smaller
  kCredentials,  // none, or expired
  kDenied,       // AccessDenied
  kNotThere,     // there is no such instance in any group
  kRefused,      // every other answer
  kMissing,      // no AWS CLI, no metadata, no systemctl
};
std::string_view to_string(TerminationOutcome outcome);
std::optional<TerminationOutcome> outcome_named(std::string_view name);

// Of the Auto Scaling group, as far as it matters.
enum class GroupState : std::uint8_t { kInService, kLeaving, kAbsent, kOther };

// How long things take; other ones only for tests.
struct TerminationTimes {
  Duration jitter = std::chrono::seconds{60};      // at most, before the agent is told
  Duration engine_away = std::chrono::minutes{5};  // an engine away for less may come back, and what it has can go
  Duration idle_agent = std::chrono::seconds{60};  // without jobs an agent that was told to stop ends by itself
  Duration report = std::chrono::seconds{90};      // after SIGQUIT, at most: jobs are cancelled and report
  Duration ship = std::chrono::seconds{10};        // for the log's last line
  Duration call = std::chrono::seconds{40};        // by then an AWS call has ended, whatever became of the daemon
  Duration retry_first = std::chrono::seconds{2};  // doubled from try to try, with chance
  Duration retry_most = std::chrono::seconds{60};
  Duration retry_slow = std::chrono::minutes{5};  // what does not pass by itself
  Duration look = std::chrono::seconds{2};        // between looks at agent, jobs and disk, while it is at work
  Duration fresh = std::chrono::seconds{60};      // how long an answer about the group holds
};

struct TerminationStep {
  TerminationAction action = TerminationAction::kRest;
  Now at{};
  std::int64_t pid = 0;           // of the process that was signalled; 0: none ran
  std::uint64_t pid_started = 0;  // its start time in /proc/<pid>/stat
  bool decrement = false;
  int tries = 1;
  TerminationOutcome outcome = TerminationOutcome::kOpen;
};

// What outlives the daemon, within one boot; written before each step.
struct TerminationIntent {
  std::string instance;
  std::string region;
  std::string device;  // of the filesystem that asked for it
  std::string mount;
  std::string reason;
  Now began{};
  bool had_job = false;                // when an agent was told to stop, a job ran, or perhaps did
  std::vector<TerminationStep> steps;  // in their order; a call that is repeated is one step
};

struct TerminationMemory {
  std::optional<TerminationIntent> intent;
  std::string wanted_by;          // the device for which the ladder's last rung was reached; "" = none
  std::optional<BootTime> go_at;  // the end of the random wait
  std::optional<GroupState> group;
  std::string group_word;  // the group's own word: "InService"
  std::optional<BootTime> described;
  std::optional<BootTime> not_before;                      // of the next call
  TerminationOutcome trouble = TerminationOutcome::kDone;  // of the last call
  std::string trouble_text;
  int failures = 0;                    // in a row
  std::optional<BootTime> idle_since;  // no job runs any more
};

struct GateFacts {
  std::string device;
  std::string mount;
  Level level = Level::kUnknown;
  std::string reason;        // of the level, with its numbers
  bool was_ok = false;       // at least once since boot, by marks that asked for no less than those of now
  std::string mistake = {};  // of its marks (Marks::mistake): then nothing is terminated for it
};

struct AgentFacts {
  bool known = false;
  std::string trouble;   // why not
  std::int64_t pid = 0;  // 0: it does not run
  std::uint64_t pid_started = 0;
};

struct TerminationFacts {
  bool wanted = false;  // on_full.terminate_instance
  bool dry_run = false;
  bool decrement = true;
  Duration min_uptime{0};
  Duration drain_timeout{0};  // 0: for ever
  std::vector<GateFacts> gates;
  std::optional<Duration> engine_away;  // for how long; nothing: it answers
  std::string instance;                 // "" = not known yet
  std::string region;
  bool has_agent = true;  // a unit is configured
  // The agent is for one job, after which the instance goes by its unit's own doing.
  bool goes_after_job = false;
  AgentFacts agent;
  std::optional<int> jobs;  // that run; nothing: not known, which counts as running
  std::string jobs_trouble;
  double chance = 0.5;  // [0, 1)
};

struct TerminationPlan {
  TerminationState state = TerminationState::kNone;
  std::string reason;  // one sentence with its numbers
  std::string rule;
  std::string next;             // what comes next, for people; "" = nothing
  std::optional<BootTime> due;  // when; nothing: it depends on others
  TerminationAction action = TerminationAction::kRest;
  bool decrement = false;  // of kTerminate
  TerminationMemory memory;
};

// One turn. Where `action` changes something, the memory's intent already ends with its step, still open: it is to be
// written before the action is taken. A level that is unknown neither starts nor ends anything, and holds every step.
TerminationPlan plan_termination(const TerminationFacts& facts, TerminationMemory memory, const TerminationTimes& times,
                                 Now now);

// The first plan, were the ladder's last rung reached for that filesystem now: as in a dry run, so metadata and group
// are not looked at. Its rule is "dry_run" where nothing stands against it.
TerminationPlan foresee_termination(TerminationFacts facts, const std::string& device, const TerminationTimes& times,
                                    Now now);

// What came of the plan's action.
struct TerminationNews {
  TerminationAction action = TerminationAction::kRest;
  TerminationOutcome outcome = TerminationOutcome::kDone;
  std::string text;                 // of the other side, for people
  std::optional<GroupState> group;  // of kDescribe
  std::string group_word;
  double chance = 0.5;  // [0, 1), for the next try
};
TerminationMemory note_outcome(TerminationMemory memory, const TerminationNews& news, const TerminationTimes& times,
                               Now now);

// Whether new jobs are to be refused in that state: from the random wait on.
bool refuses_jobs(TerminationState state);

// The last step of that kind; nullptr without one.
const TerminationStep* last_step(const TerminationIntent& intent, TerminationAction action);

}  // namespace buildwarden::policy
