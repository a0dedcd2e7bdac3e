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

// "0 B, others took 12.0 GiB meanwhile": by the disk that is less free than before.
std::string freed(const json::value& step) {
  if (!number(step, "freed_bytes")) return "unknown";
  const bool taken = number(step, "others_took_bytes").value_or(0) > 0;
  const auto more = taken ? format(", others took {} meanwhile", size(step, "others_took_bytes")) : "";
  return size(step, "freed_bytes") + more;
}

// "12.4s", "~3.0s" where it is estimated, "-" where nothing is known of it.
std::string cost(const json::value& step) {
  const auto& seconds = member(step, "cost_seconds");
  if (!seconds.is_number()) return "-";
  return format("{}{:.1f}s", truth(step, "cost_is_estimated") ? "~" : "", seconds.to_number<double>());
}

std::string uses(const json::value& step) {
  const auto count = number(step, "uses");
  return count ? format("{}", *count) : "-";
}

// One row a step; of a dry run what would go, by the engine's figures, since nothing was measured.
std::string steps_table(const json::array& steps, bool dry_run, const Terminal& terminal) {
  if (steps.empty()) return "";
  const bool valued = std::any_of(steps.begin(), steps.end(),
                                  [](const json::value& step) { return member(step, "cost_seconds").is_number(); });
  std::vector<std::vector<std::string>> rows = {{"RUNG", dry_run ? "WOULD GO" : "GONE", dry_run ? "SIZE" : "FREED"}};
  if (valued) rows.back().insert(rows.back().end(), {"COST", "USES"});
  for (const auto& step : steps) {
    rows.push_back({text(step, "rung"), text(step, "what"), dry_run ? size(step, "reported_bytes") : freed(step)});
    if (valued) rows.back().insert(rows.back().end(), {cost(step), uses(step)});
  }
  return table(std::move(rows), terminal) + "\n";
}

std::string reclaim_text(const json::value& result, const Terminal& terminal) {
  const bool dry_run = truth(result, "dry_run");  // asked for here, or all that the daemon does
  const auto& last = member(result, "last_resort");
  return steps_table(list(result, "steps"), dry_run, terminal) +
         (last.is_object() ? format("then, as the last resort: {}\n", text(last, "reason")) : "") +
         format("{} -> {} free; target {}{}\n", size(result, "free_before_bytes"), size(result, "free_after_bytes"),
                truth(result, "reached") ? "reached" : "not reached",
                text(result, "reason").empty() ? "" : ": " + text(result, "reason"));
}

}  // namespace

int reclaim_disk(const Context& context, const ReclaimOptions& options) {
  json::object body;
  body["dry_run"] = options.dry_run;
  if (options.target != 0) body["target_free_bytes"] = options.target;
  const auto answer = run_operation(context, "/v1/disk/reclaim", body, options.wait);
  if (!answer && answer.error().code() == Errc::kTimeout && options.wait.count() > 0) {
    complain(context, answer.error().message());
    return kNo;
  }
  const int code = print_answer(context, answer, [terminal = context.terminal()](const json::value& result) {
    return reclaim_text(result, terminal);
  });
  return code == kYes && !truth(answer->json, "reached") ? kNo : code;
}

}  // namespace buildwarden::cli
