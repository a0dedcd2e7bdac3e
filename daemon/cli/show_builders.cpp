#include <algorithm>
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

std::string recreation_text(const json::value& made) {
  std::string out;
  for (const auto& step : list(made, "steps")) {
    if (const auto* words = step.if_string()) out += format("{}\n", std::string_view(words->data(), words->size()));
  }
  return out + text(made, "reason") + "\n";
}

std::string emulators_text(const json::value& answer, const Terminal& terminal) {
  const auto& emulators = list(answer, "emulators");
  return emulators.empty() ? std::string("emulation is off\n") : emulators_table(emulators, terminal);
}

bool all_run(const json::array& emulators) {
  return std::all_of(emulators.begin(), emulators.end(), [](const json::value& one) {
    const auto state = text(one, "state");
    return state == "proven" || state == "native";
  });
}

std::string heal_text(const json::value& builder, const Terminal& terminal) {
  const auto& last = member(builder, "last_heal");
  const auto heals = number(builder, "heals").value_or(0);
  if (!last.is_object()) return format("{}", heals);
  return format("{}, the last {}{}: {}", heals, terminal.exists() ? "" : "at ", when(last, "at", terminal),
                text(last, "reason"));
}

// One fact a line; what is not known is "-".
std::string builder_text(const json::value& builder, const Terminal& terminal) {
  const auto builds = number(builder, "running_builds");
  std::vector<std::vector<std::string>> rows = {
      {"name", text(builder, "name")},
      {"state", text(builder, "state")},
      {"reason", text(builder, "reason")},
      {"version", text(builder, "version")},
      {"image", text(builder, "image")},
      {"container", text(builder, "container")},
      {"volume", text(builder, "volume")},
      {"endpoint", text(builder, "endpoint")},
      {"fronts", joined(list(builder, "fronts"))},
      {"leases", joined(list(builder, "leases"))},
      {"running builds", builds ? format("{}", *builds) : ""},
      {"cache", size(builder, "cache_bytes")},
      {"heals", heal_text(builder, terminal)},
      {"platforms", joined(list(builder, "platforms"))},
  };
  for (auto& row : rows) row[1] = row[1].empty() ? "-" : row[1];
  return table(std::move(rows), terminal);
}

}  // namespace

int show_builder(const Context& context, const std::string& name) {
  return show(context, "/v1/builders/" + path_segment(name),
              [terminal = context.terminal()](const json::value& builder) { return builder_text(builder, terminal); });
}

int show_builders(const Context& context) {
  return show(context, "/v1/builders", [terminal = context.terminal()](const json::value& answer) {
    return builders_table(list(answer, "builders"), terminal);
  });
}

int show_emulators(const Context& context) {
  return show(context, "/v1/emulators",
              [terminal = context.terminal()](const json::value& answer) { return emulators_text(answer, terminal); });
}

int verify_emulators(const Context& context) {
  const auto answer = run_operation(context, "/v1/emulators/verify", {});
  const int code = print_answer(context, answer, [terminal = context.terminal()](const json::value& all) {
    return emulators_text(all, terminal);
  });
  return code == kYes && !all_run(list(answer->json, "emulators")) ? kNo : code;
}

int recreate_builder(const Context& context, const RecreateOptions& options) {
  json::object body;
  body["force"] = options.force;
  body["dry_run"] = options.dry_run;
  return show_operation(context, "/v1/builders/" + path_segment(options.builder) + "/recreate", body, recreation_text);
}

}  // namespace buildwarden::cli
