#include "common/format.h"
#include "daemon/cli/commands.h"

namespace buildwarden::cli {

int check_config(const Context& context, const config::LoadRequest& config) {
  const auto loaded = config::load(config);
  if (!loaded) {
    // All mistakes at once, one a line, each with file, line and key.
    context.err(loaded.error().message() + "\n");
    return kNo;
  }
  for (const auto& warning : loaded->warnings) complain(context, "warning: " + warning);
  const auto shown = context.json ? config::describe_json(*loaded) : config::describe(*loaded);
  context.out(shown.ends_with('\n') ? shown : shown + "\n");
  return kYes;
}

}  // namespace buildwarden::cli
