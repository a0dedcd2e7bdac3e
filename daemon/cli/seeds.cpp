#include <boost/json/object.hpp>

#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/operation.h"
#include "daemon/cli/show.h"
#include "daemon/cli/table.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

std::string bytes_of(const json::value& object, const char* name) {
  const auto value = number(object, name);
  return value ? format_bytes(*value) : "-";
}

std::string seeds_text(const json::value& answer, const Terminal& terminal) {
  const auto location = text(answer, "location");
  if (location.empty()) return "seeds are off: seeds.location is empty\n";
  std::vector<std::vector<std::string>> rows = {{"BUILDER", "STATE", "SEED OF", "SIZE", "ARCHIVE", "REASON"}};
  for (const auto& seed : list(answer, "seeds")) {
    const auto& there = member(seed, "seed");
    const auto refusal = text(seed, "refusal");
    rows.push_back({text(seed, "builder"), text(seed, "state"), when(there, "created_at", terminal),
                    bytes_of(there, "bytes"), bytes_of(there, "archive_bytes"),
                    refusal.empty() ? text(seed, "reason") : "does not fit: " + refusal});
  }
  return format("at {}, save: {}\n", location, text(answer, "save")) + table(std::move(rows), terminal);
}

}  // namespace

int show_seeds(const Context& context) {
  return show(context, "/v1/seeds",
              [terminal = context.terminal()](const json::value& seeds) { return seeds_text(seeds, terminal); });
}

int work_on_seed(const Context& context, const SeedOptions& options) {
  json::object body;
  body["dry_run"] = options.dry_run;
  return show_operation(context, "/v1/seeds/" + path_segment(options.builder) + "/" + options.work, body,
                        [](const json::value& done) { return text(done, "reason") + "\n"; });
}

}  // namespace buildwarden::cli
