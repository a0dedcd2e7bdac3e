#include "daemon/cli/answer.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/show.h"

namespace buildwarden::cli {

int show_builders(const Context& context) {
  return show(context, "/v1/builders",
              [](const boost::json::value& answer) { return builders_table(list(answer, "builders")); });
}

}  // namespace buildwarden::cli
