#include "daemon/cli/cli.h"

#include <exception>
#include <sstream>

#include "daemon/cli/command_line.h"

namespace buildwarden::cli {
namespace {

// Prints help or the version (0), or what is wrong with the command line (kUsage).
int finish_parsing(const Context& context, const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app.exit(error, out, err);
  context.out(out.str());
  context.err(err.str());
  return code == 0 ? kYes : kUsage;
}

}  // namespace

int run(std::vector<std::string> arguments, Context context, const ServeFunction& serve) {
  CommandLine line(context, serve);
  try {
    line.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return finish_parsing(context, line.app(), error);
  }
  try {
    return line.command()();
  } catch (const std::exception& error) {
    complain(context, error.what());
    return kNo;
  }
}

int run(int argc, char** argv, const ServeFunction& serve) {
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return run(std::move(arguments), process_context(), serve);
}

}  // namespace buildwarden::cli
