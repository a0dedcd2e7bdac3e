#include "daemon/cli/cli.h"

#include <exception>
#include <sstream>

#include "daemon/cli/command_line.h"
#include "daemon/cli/mistake.h"

namespace buildwarden::cli {
namespace {

// Prints help or the version (0), or what is wrong with the command line (kUsage): the word that is not known, before
// whatever else that leads to; without a subcommand the help of the command that it would be of.
int finish_parsing(const Context& context, const CommandLine& line, const std::vector<std::string>& arguments,
                   const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    std::ostringstream out;
    std::ostringstream err;
    line.app().exit(error, out, err);
    context.out(out.str());
    return kYes;
  }
  const auto unknown = unknown_word(line.app(), arguments);
  if (unknown.empty() && dynamic_cast<const MissingCommand*>(&error) != nullptr) {
    context.err(help_of(line.app(), arguments));
    return kUsage;
  }
  complain(context, unknown.empty() ? error.what() : unknown);
  context.err("Run with --help for more information.\n");
  return kUsage;
}

}  // namespace

int run(const std::vector<std::string>& arguments, Context context, const ServeFunction& serve) {
  CommandLine line(context, serve);
  try {
    line.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return finish_parsing(context, line, arguments, error);
  }
  try {
    const int code = line.command()();
    if (code != kYes || line.serves() || context.out_arrived()) return code;
    complain(context, "what was to be printed could not be written");
    return line.is_of_job() ? kUsage : kNo;  // of a job kNo is the daemon's refusal, and nothing else
  } catch (const std::exception& error) {
    complain(context, error.what());
  }
  return kNo;
}

int run(int argc, char** argv, const ServeFunction& serve) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return run(arguments, process_context(), serve);
}

}  // namespace buildwarden::cli
