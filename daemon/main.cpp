#include "daemon/cli/cli.h"
#include "daemon/serve.h"

int main(int argc, char** argv) {
  return buildwarden::cli::run(
      argc, argv, [](const buildwarden::cli::ServeOptions& options) { return buildwarden::serve(options.load); });
}
