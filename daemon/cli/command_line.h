// The grammar of the command line: which options there are, and which subcommand they lead to.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "daemon/cli/cli.h"
#include "daemon/cli/commands.h"

namespace buildwarden::cli {

// Nothing is asked for: the words lead to a command that only its subcommands do something.
struct MissingCommand : CLI::RequiredError {
  MissingCommand() : CLI::RequiredError("A subcommand") {}
};

// Parsed once; the command runs on what was parsed, so this object must outlive it.
class CommandLine {
 public:
  // `context` gets the global options. Both are held by reference.
  CommandLine(Context& context, const ServeFunction& serve);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // Throws CLI::ParseError: for a mistake, and for --help and --version.
  void parse(std::vector<std::string> arguments);

  [[nodiscard]] const CLI::App& app() const { return app_; }
  // What was asked for; callable after parse().
  [[nodiscard]] const std::function<int()>& command() const { return command_; }
  // Whether that is the daemon itself.
  [[nodiscard]] bool serves() const { return serves_; }
  // Whether that is `job start` or `job end`.
  [[nodiscard]] bool is_of_job() const { return job_command_ != nullptr && job_command_->parsed(); }

 private:
  void add_serve();
  void add_config();
  void add_views();
  void add_builders();
  void add_seeds();
  void add_disk();
  void add_disk_check(CLI::App* disk);
  void add_job_ends(CLI::App* command);
  void add_events();
  void add_emulators();
  void add_doctor();
  void add_completion();
  void add_job();
  void add_job_start(CLI::App* job);
  void add_job_options(CLI::App* start);
  void add_config_file(CLI::App* command);
  // A subcommand that leads to `command`, unless one of its own subcommands is given.
  CLI::App* add(CLI::App* parent, const std::string& name, const std::string& help, std::function<int()> command);

  // Where neither the command line nor the environment names a socket, a configuration that was given does, or the
  // usual one, for who can wait until that is read.
  void take_socket_of_config(bool also_of_usual_file = false);
  // Fills what was not given from the environment; false (and says so) when there is no valid job id.
  bool complete_job();

  Context& context_;
  const ServeFunction& serve_;
  CLI::App app_;
  std::function<int()> command_;
  CLI::Option* socket_ = nullptr;
  CLI::App* job_command_ = nullptr;
  config::LoadRequest load_;
  bool dry_run_ = false;
  bool serves_ = false;
  bool watch_ = false;
  Duration interval_ = std::chrono::seconds{2};
  EventOptions events_;
  ReclaimOptions reclaim_;
  CheckOptions check_;
  RecreateOptions recreate_;
  std::string builder_;
  std::string shell_;
  SeedOptions seed_;
  JobOptions job_;
};

}  // namespace buildwarden::cli
