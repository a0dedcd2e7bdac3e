#include <boost/json/object.hpp>

#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/operation.h"
#include "daemon/cli/show.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

std::string recreation_text(const json::value& made) {
  std::string out;
  for (const auto& step : list(made, "steps")) {
    if (const auto* words = step.if_string()) out += format("{}\n", std::string_view(words->data(), words->size()));
  }
  return out + text(made, "reason") + "\n";
}

}  // namespace

int show_builders(const Context& context) {
  return show(context, "/v1/builders",
              [](const json::value& answer) { return builders_table(list(answer, "builders")); });
}

int show_emulators(const Context& context) {
  return show(context, "/v1/emulators", [](const json::value& answer) {
    const auto& emulators = list(answer, "emulators");
    return emulators.empty() ? std::string("emulation is off\n") : emulators_table(emulators);
  });
}

int recreate_builder(const Context& context, const RecreateOptions& options) {
  json::object body;
  body["force"] = options.force;
  body["dry_run"] = options.dry_run;
  return show_operation(context, "/v1/builders/" + path_segment(options.builder) + "/recreate", body, recreation_text);
}

}  // namespace buildwarden::cli
