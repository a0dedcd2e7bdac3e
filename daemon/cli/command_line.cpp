#include "daemon/cli/command_line.h"

#include <algorithm>

#include "common/format.h"
#include "daemon/cli/completion.h"
#include "daemon/cli/option_values.h"

namespace buildwarden::cli {
namespace {

constexpr std::size_t kLongestId = 128;
constexpr std::int64_t kMostEvents = 1000;       // that the daemon gives at once
constexpr std::int64_t kLargestPid = 4'194'304;  // of the kernel

// Repeatable, one value each time.
CLI::Option* add_many(CLI::App* command, const std::string& name, std::vector<std::string>& target) {
  return command->add_option(name, target)->allow_extra_args(false)->type_name("NAME");
}

}  // namespace

CommandLine::CommandLine(Context& context, const ServeFunction& serve)
    : context_(context), serve_(serve), app_("Keeps Docker builders warm and the disk from filling.", "buildwarden") {
  app_.set_version_flag("--version", std::string("buildwarden ") + BUILDWARDEN_VERSION);
  app_.fallthrough();
  const auto from_environment = context_.env("BUILDWARDEN_SOCKET");
  if (!from_environment.empty()) context_.socket = from_environment;
  socket_ = app_.add_option("--socket", context_.socket, "the daemon's socket (BUILDWARDEN_SOCKET)")->type_name("PATH");
  app_.add_flag("--json", context_.json, "print the daemon's own answer");
  add_serve();
  add_config();
  add_views();
  add_emulators();
  add_builders();
  add_seeds();
  add_disk();
  add_events();
  add_doctor();
  add_job();
  add_completion();
}

void CommandLine::parse(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  app_.parse(std::move(arguments));
  // CLI11's own check comes before its one for unknown words, and would not name those.
  if (!command_) throw MissingCommand();
}

CLI::App* CommandLine::add(CLI::App* parent, const std::string& name, const std::string& help,
                           std::function<int()> command) {
  auto* added = parent->add_subcommand(name, help);
  // A parent's callback comes after those of its subcommands, and must not replace them.
  added->callback([this, command = std::move(command)] {
    if (!command_) command_ = command;
  });
  return added;
}

void CommandLine::add_config_file(CLI::App* command) {
  command
      ->add_option_function<std::string>("--config",
                                         [this](const std::string& path) {
                                           load_.yaml_path = path;
                                           load_.yaml_required = true;
                                         })
      ->description(format("the configuration ({})", load_.yaml_path))
      ->type_name("FILE");
}

void CommandLine::take_socket_of_config(bool also_of_usual_file) {
  if ((!load_.yaml_required && !also_of_usual_file) || socket_->count() > 0 ||
      !context_.env("BUILDWARDEN_SOCKET").empty())
    return;
  const auto loaded = config::load(load_);
  if (loaded && loaded->settings.listen.socket != kDefaultSocket) context_.socket = loaded->settings.listen.socket;
}

void CommandLine::add_serve() {
  auto* serve = add(&app_, "serve", "run the daemon", [this] {
    if (dry_run_) load_.overrides["dry_run"] = "true";
    if (socket_->count() > 0) load_.overrides["listen.socket"] = context_.socket;
    serves_ = true;
    return serve_({load_, dry_run_});
  });
  add_config_file(serve);
  serve->add_flag("--dry-run", dry_run_, "decide and say, but delete nothing");
}

void CommandLine::add_config() {
  auto* config = app_.add_subcommand("config", "the configuration");
  add_config_file(add(config, "check", "validate it; print each value and where it came from",
                      [this] { return check_config(context_, load_); }));
  add(config, "show", "that of the running daemon; each value and where it came from",
      [this] { return show_config(context_); });
}

void CommandLine::add_views() {
  auto* status = add(&app_, "status", "everything in one view",
                     [this] { return watch_ ? watch_status(context_, interval_) : show_status(context_); });
  auto* watch = status->add_flag("--watch", watch_, "again and again, until ^C");
  add_duration(status, "--interval", {kShortestWatch, kLongestWatch}, [this](Duration value) { interval_ = value; })
      ->description("how often with --watch (2s)")
      ->needs(watch);
  add(&app_, "version", "of this program and of the daemon", [this] { return show_version(context_); });
  add(&app_, "jobs", "the jobs that the daemon knows", [this] { return show_jobs(context_); });
}

void CommandLine::add_emulators() {
  auto* emulators = add(&app_, "emulators", "the platforms that run here, and whether that was proven",
                        [this] { return show_emulators(context_); });
  add(emulators, "verify", "execute a program of each now, and restore what is lost; exit 1 when one does not run",
      [this] { return verify_emulators(context_); });
}

void CommandLine::add_builders() {
  auto* builders = add(&app_, "builders", "the warm builders", [this] { return show_builders(context_); });
  auto* one = add(builders, "show", "all that is known of one", [this] { return show_builder(context_, builder_); });
  one->add_option("name", builder_, "the builder")->required()->type_name("BUILDER");
  auto* recreate = add(builders, "recreate", "make one's container anew on its cache; exit 1 while builds run on it",
                       [this] { return recreate_builder(context_, recreate_); });
  recreate->add_option("name", recreate_.builder, "the builder")->required()->type_name("BUILDER");
  recreate->add_flag("--force", recreate_.force, "also at the cost of builds that run");
  recreate->add_flag("--dry-run", recreate_.dry_run, "only say what would be done");
}

void CommandLine::add_seeds() {
  auto* seeds = add(&app_, "seeds", "archives of builders' volumes, for the builders of new instances",
                    [this] { return show_seeds(context_); });
  const auto add_work = [&](const std::string& name, const std::string& help) {
    auto* work = add(seeds, name, help, [this, name] {
      seed_.work = name;
      return work_on_seed(context_, seed_);
    });
    work->add_option("name", seed_.builder, "the builder")->required()->type_name("BUILDER");
    work->add_flag("--dry-run", seed_.dry_run, "say what it would come to, and change nothing");
  };
  add_work("save", "make a seed of a builder now; root only");
  add_work("restore", "move a builder to a fresh volume made of its seed; the old one is kept; root only");
}

void CommandLine::add_disk() {
  auto* disk = add(&app_, "disk", "the watched filesystems", [this] { return show_disk(context_); });
  auto* reclaim = add(disk, "reclaim", "make room now; exit 1 when the target is not reached",
                      [this] { return reclaim_disk(context_, reclaim_); });
  reclaim->add_flag("--dry-run", reclaim_.dry_run, "only the plan");
  add_size(reclaim, "--target", [this](Bytes value) {
    reclaim_.target = value;
  })->description("free space wanted, such as 20GiB (disk.reclaim_to)");
  add_duration(reclaim, "--wait", {}, [this](Duration value) {
    reclaim_.wait = value;
  })->description("how long to wait for it (5m)");
  add_disk_check(disk);
}

void CommandLine::add_disk_check(CLI::App* disk) {
  auto* check = add(disk, "check", "exit 1 when a job would not find enough room; works without the daemon", [this] {
    take_socket_of_config();
    return check_disk(context_, check_, load_);
  });
  check->footer(
      "It only looks, but with --make-room, --stack or --job-ends. Exit 0 with a warning where the disk\n"
      "cannot be measured.");
  auto* here = check->add_flag("--here", check_.here, "measure, and ask no daemon");
  auto* make = check->add_flag("--make-room", check_.make_room, "as `disk ensure`");
  make->excludes(here);
  check->add_flag("--stack", check_.stack_lines,
                  "print what bk-check-disk-space.sh prints, and make room as that does");
  add_job_ends(check);
  add_config_file(check);
  auto* ensure =
      add(disk, "ensure", "make room where a job would not find enough; exit 1 when that was not enough", [this] {
        take_socket_of_config();
        check_.make_room = true;
        return check_disk(context_, check_, load_);
      });
  ensure->footer(
      "The daemon deletes, for as long as a job would wait (jobs.admission_wait); where there is enough it\n"
      "deletes nothing. Without the daemon it only looks.");
  add_job_ends(ensure);
  add_config_file(ensure);
}

void CommandLine::add_job_ends(CLI::App* command) {
  command->add_flag(
      "--job-ends", check_.job_ends,
      "asked at the end of the job BUILDKITE_JOB_ID: exit 0 also where the checkouts that it alone keeps hold "
      "the room and go when it has ended (on_full.purge_builds)");
}

void CommandLine::add_events() {
  auto* events = add(&app_, "events", "what was decided, and why", [this] { return show_events(context_, events_); });
  auto* follow = events->add_flag("-f,--follow", events_.follow, "go on with those to come");
  auto* since = events->add_option_function<std::string>("--since", [this](const std::string& given) {
    if (!begin_at(given, events_)) {
      throw CLI::ValidationError("--since", format("\"{}\" is not {}", shown(given), kSinceForms));
    }
  });
  since->description("only those with a larger number; or of so long ago (1h), or at a time, and later");
  since->type_name("NUMBER|DURATION|TIME");
  auto* before = add_number(events, "--before", {}, [this](std::int64_t value) { events_.before = value; });
  before->description("the latest with a smaller number, however old")->excludes(since)->excludes(follow);
  auto* limit =
      add_number(events, "-n,--limit", {1, kMostEvents}, [this](std::int64_t value) { events_.limit = value; });
  limit->description("at most so many: the latest, with a number the first; then those to come with --follow");
  add_many(events, "--kind", events_.kinds)
      ->description("only this kind and those below it, such as reclaim; may be repeated")
      ->type_name("KIND");
  events->add_option("--severity", events_.severity, "only these and worse: info, warning, error")
      ->check(CLI::IsMember({"info", "warning", "error"}))
      ->type_name("SEVERITY");
}

void CommandLine::add_doctor() {
  auto* doctor = add(&app_, "doctor", "what is wrong with this machine, and the fix; exit 1 when something is", [this] {
    take_socket_of_config(true);
    return run_doctor(context_, load_);
  });
  add_config_file(doctor);
}

void CommandLine::add_completion() {
  auto* made = add(&app_, "completion", "a script for a shell, which completes the words of this program", [this] {
    context_.out(completion(app_, shell_));
    return kYes;
  });
  made->add_option("shell", shell_, "the shell")->required()->check(CLI::IsMember(kShells))->type_name("SHELL");
  made->footer("bash: source <(buildwarden completion bash). The packages have them where each shell looks.");
}

void CommandLine::add_job() {
  auto* job = app_.add_subcommand("job", "tell the daemon of a job (for hooks)");
  job_command_ = job;
  add_job_start(job);
  auto* end = add(job, "end", "the job is over; succeeds without the daemon",
                  [this] { return complete_job() ? end_job(context_, job_.id) : kUsage; });
  end->add_option("--id", job_.id, "the job (BUILDKITE_JOB_ID)")->type_name("ID");
}

void CommandLine::add_job_start(CLI::App* job) {
  auto* start = add(job, "start", "ask for room and builders",
                    [this] { return complete_job() ? start_job(context_, job_) : kUsage; });
  start->footer(
      "In a hook: granted=$(buildwarden job start) || [ $? -ne 1 ] || exit 1; eval \"$granted\"\n"
      "Writes the builders' files below ${BUILDX_CONFIG:-$DOCKER_CONFIG/buildx} and prints `export` lines for eval.\n"
      "Exit 1 when the daemon refuses the job, and only then: 2 and 4 are no verdict on the disk. Without the daemon, "
      "or\n"
      "after 2 s of its silence, it succeeds and does nothing.\n"
      "With --json it prints the daemon's answer and writes no files.");
  add_job_options(start);
}

void CommandLine::add_job_options(CLI::App* start) {
  start->add_option("--id", job_.id, "1-128 bytes (BUILDKITE_JOB_ID)")->type_name("ID");
  start->add_option("--agent", job_.agent, "(BUILDKITE_AGENT_NAME)")->type_name("NAME");
  start->add_option("--pipeline", job_.pipeline, "(BUILDKITE_PIPELINE_SLUG)")->type_name("NAME");
  start->add_option("--checkout", job_.checkout, "(BUILDKITE_BUILD_CHECKOUT_PATH)")->type_name("PATH");
  add_number(start, "--pid", {2, kLargestPid}, [this](std::int64_t value) { job_.pid = value; })
      ->description("a process that lives as long as the job; none by default, as a hook's shell ends")
      ->type_name("PID");
  add_size(start, "--need", [this](Bytes value) {
    job_.need = value;
  })->description("free space that the job needs, such as 10GiB");
  add_many(start, "--builder", job_.builders)
      ->description("only this one; may be repeated (all)")
      ->type_name("BUILDER");
  start->add_option("--use", job_.use, "the builder of plain `docker build` (BUILDWARDEN_BUILDER)")
      ->type_name("BUILDER");
  add_many(start, "--platform", job_.platforms)->description("that the job builds for; may be repeated");
  start->add_option("--cache-name", job_.cache_name, "its cache's name, where one is configured")->type_name("NAME");
  const auto reuse = [this](bool wanted) { return [this, wanted] { job_.reuse_context = wanted; }; };
  auto* yes = start->add_flag_callback("--reuse-context", reuse(true),
                                       "send only what changed since this pipeline's last build in this checkout");
  start->add_flag_callback("--no-reuse-context", reuse(false), "send it whole (jobs.reuse_context)")->excludes(yes);
  const auto load = [this](bool wanted) { return [this, wanted] { job_.load = wanted; }; };
  auto* loads = start->add_flag_callback("--load", load(true), "send what `docker build -t` makes to the engine too");
  start->add_flag_callback("--no-load", load(false), "leave it on the builder (jobs.default_load)")->excludes(loads);
  add_duration(start, "--ttl", {std::chrono::seconds{1}}, [this](Duration value) {
    job_.ttl = value;
  })->description("the lease's length without a live pid");
  start->add_flag("--print-env", job_.print_env, "print the variables only; write no files");
  start->add_flag("--hook", job_.hook, "print the verdict for a hook, too: BUILDWARDEN_VERDICT=run, refuse or absent");
}

bool CommandLine::complete_job() {
  const auto fill = [this](std::string& value, const char* variable) {
    if (value.empty()) value = context_.env(variable);
  };
  fill(job_.id, "BUILDKITE_JOB_ID");
  fill(job_.agent, "BUILDKITE_AGENT_NAME");
  fill(job_.pipeline, "BUILDKITE_PIPELINE_SLUG");
  fill(job_.checkout, "BUILDKITE_BUILD_CHECKOUT_PATH");
  fill(job_.use, "BUILDWARDEN_BUILDER");
  if (!job_.id.empty() && job_.id.size() <= kLongestId) return true;
  complain(context_, format("a job needs an id of 1 to {} bytes: --id or BUILDKITE_JOB_ID", kLongestId));
  return false;
}

}  // namespace buildwarden::cli
