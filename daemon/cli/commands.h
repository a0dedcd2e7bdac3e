// The subcommands: each asks, prints, and gives the exit code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/units.h"
#include "config/load.h"
#include "daemon/cli/context.h"

namespace buildwarden::cli {

int show_status(const Context& context);

inline constexpr Duration kShortestWatch = std::chrono::milliseconds{500};
inline constexpr Duration kLongestWatch = std::chrono::hours{1};
// The same again and again, drawn over the last one on a terminal, until a signal or Context::pause ends it; also while
// the daemon is away. Ends by itself with kDenied, and with kNo when stdout takes no more.
int watch_status(const Context& context, Duration interval);
int show_disk(const Context& context);
int show_builders(const Context& context);
int show_emulators(const Context& context);
int show_jobs(const Context& context);
// kNo when a wanted platform does not run afterwards.
int verify_emulators(const Context& context);
// All that is known of one; kNo when there is none of that name.
int show_builder(const Context& context, const std::string& name);
// The running daemon's settings, each with its source.
int show_config(const Context& context);
// This program's version and the daemon's; kUnreachable or kDenied, after its own, when that cannot be asked.
int show_version(const Context& context);

struct RecreateOptions {
  std::string builder;
  bool force = false;
  bool dry_run = false;
};
// kNo when it was refused: builds run, or it is not ours.
int recreate_builder(const Context& context, const RecreateOptions& options);

int show_seeds(const Context& context);

struct SeedOptions {
  std::string builder;
  std::string work;  // "save", "restore"
  bool dry_run = false;
};
// kNo when it was refused: somebody uses the builder, there is no seed, or it does not fit.
int work_on_seed(const Context& context, const SeedOptions& options);

struct EventOptions {
  std::optional<std::int64_t> since;  // print those with a larger number; none: the latest
  std::string from;                   // or those at this time (RFC 3339) or later; "": not asked for
  std::int64_t before = 0;            // or the latest with a smaller one; 0: not asked for
  std::int64_t limit = 0;             // at most so many; 0: as many as the daemon gives at once
  std::vector<std::string> kinds;     // and those below them; empty: all
  std::string severity;               // and worse; "": all
  bool follow = false;
};
inline constexpr std::string_view kSinceForms =
    "a number of an event, a duration such as 90s or 1h, or a time such as 2026-11-23T04:51:04Z";
// Where they begin, as --since has it; false when it is none of kSinceForms. A duration is counted back from now.
bool begin_at(const std::string& given, EventOptions& options);
int show_events(const Context& context, const EventOptions& options);

struct ReclaimOptions {
  bool dry_run = false;
  Bytes target = 0;  // 0: the daemon's own
  Duration wait = std::chrono::minutes{5};
};
// kNo when the target was not reached.
int reclaim_disk(const Context& context, const ReclaimOptions& options);

struct CheckOptions {
  bool here = false;         // ask no daemon
  bool stack_lines = false;  // those of bk-check-disk-space.sh; makes room, as that does
  bool make_room = false;    // have the daemon delete where there is too little
  bool job_ends = false;     // a job asks at its end: what it alone keeps counts as free where that goes with it
  [[nodiscard]] bool makes_room() const { return make_room || stack_lines || job_ends; }
};
// kNo when a filesystem that gates jobs is below min_free or min_free_inodes; where it makes room, also after the
// daemon was asked for it for as long as a job would wait (jobs.admission_wait). Measures by itself, with the marks of
// the configuration, when the daemon does not say, is not for this user, or made too little room because it could
// delete no images; it deletes nothing itself. Then `stack_lines` has a line "No room was made: ..." where there is too
// little. Where nothing can be measured: kYes, with a warning, since unknown is no reason to refuse a job.
int check_disk(const Context& context, const CheckOptions& options, const config::LoadRequest& config);

// Prints the effective configuration; kNo and all mistakes at once when it is invalid.
int check_config(const Context& context, const config::LoadRequest& config);

// Looks for what is wrong with this machine; kNo when something is. Works without the daemon as far as that goes.
int run_doctor(const Context& context, const config::LoadRequest& config);

struct JobOptions {
  std::string id;  // 1-128 bytes
  std::string agent;
  std::string pipeline;
  std::string checkout;
  std::int64_t pid = 0;  // 0: none
  Bytes need = 0;
  std::vector<std::string> builders;  // empty: all
  std::string use;
  std::vector<std::string> platforms;
  std::string cache_name;
  std::optional<Duration> ttl;
  std::optional<bool> reuse_context;  // none: the configuration's choice
  std::optional<bool> load;           // none: the configuration's choice
  bool print_env = false;             // only the variables; write no files
  bool hook = false;                  // print the verdict as variables for the hook, too
};
// Never kUnreachable: without a daemon both succeed doing nothing, and say so. kNo only where the daemon refuses the
// job; kUsage: it does not take the request; kDenied: it, or its socket, is not for this user. For a hook a refusal of
// a daemon that could delete no images is "absent": the hook then prunes and looks by itself.
int start_job(const Context& context, const JobOptions& options);
int end_job(const Context& context, const std::string& id);

}  // namespace buildwarden::cli
