#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/show.h"
#include "daemon/cli/table.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// As `config check` prints it: key, value, source and where in that.
std::string settings_text(const json::value& config, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows;
  std::string after;
  for (const auto& setting : list(config, "settings")) {
    const auto location = text(setting, "location");
    const auto source = text(setting, "source");
    rows.push_back({text(setting, "key"), text(setting, "value"),
                    location.empty() ? source : format("{} ({})", source, location)});
    const auto restart = text(setting, "after_restart");
    if (!restart.empty()) after += format("{}: {} after a restart\n", text(setting, "key"), restart);
  }
  for (const auto& warning : list(config, "warnings")) {
    if (const auto* words = warning.if_string()) after += format("warning: {}\n", std::string_view(*words));
  }
  return table(std::move(rows), terminal) + visible_lines(after);
}

std::string versions_json(const json::value& daemon) {
  const json::object versions{{"client", BUILDWARDEN_VERSION}, {"daemon", daemon}};
  return json::serialize(versions);
}

}  // namespace

int show_config(const Context& context) {
  return show(context, "/v1/config",
              [terminal = context.terminal()](const json::value& config) { return settings_text(config, terminal); });
}

int show_jobs(const Context& context) {
  return show(context, "/v1/jobs", [terminal = context.terminal()](const json::value& answer) {
    return jobs_table(list(answer, "jobs"), terminal);
  });
}

int show_version(const Context& context) {
  const auto answer = Client(context, context.patience).get("/v1/status");
  const bool good = answer && answer->good();
  const auto version = good ? text(answer->json, "version") : std::string();
  if (context.json) {
    print_json(context, versions_json(good ? json::value(version) : json::value(nullptr)));
  } else {
    context.out(format("client {}\n", BUILDWARDEN_VERSION));
    if (good) context.out(visible(format("daemon {}", version)) + "\n");
  }
  if (!answer) return report_failure(context, answer.error());
  return good ? kYes : report_problem(context, *answer);
}

}  // namespace buildwarden::cli
