#include <string>
#include <vector>

#include "daemon/cli/cli.h"
#include "daemon/emulation/launcher.h"
#include "daemon/instance/metadata.h"
#include "daemon/seeds/program.h"
#include "daemon/serve.h"

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == buildwarden::emulation::kLauncherCommand) {
    return buildwarden::emulation::launch(std::vector<std::string>(argv + 2, argv + argc));
  }
  if (argc == 3 && argv[1] == buildwarden::instance::kMetadataCommand) {
    return buildwarden::instance::tell_identity(argv[2]);
  }
  if (argc == 2 && argv[1] == buildwarden::seeds::kSeedCommand) return buildwarden::seeds::work();
  return buildwarden::cli::run(
      argc, argv, [](const buildwarden::cli::ServeOptions& options) { return buildwarden::serve(options.load); });
}
