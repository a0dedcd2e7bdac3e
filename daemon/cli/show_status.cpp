#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/show.h"
#include "daemon/cli/table.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

std::string readiness_words(const json::value& status, const Terminal& terminal) {
  if (!truth(status, "ready")) return ", " + painted("not ready", "not ready", terminal);
  return list(status, "attention").empty() ? ", ready" : ", ready, but no new job starts";
}

std::string daemon_line(const json::value& status, const Terminal& terminal) {
  const auto uptime = number(status, "uptime_seconds");
  return format("buildwarden {}{}{}{}\n", visible(text(status, "version")),
                uptime ? ", up " + short_duration(std::chrono::seconds{*uptime}) : "",
                truth(status, "dry_run") ? ", dry run: nothing is deleted" : "", readiness_words(status, terminal));
}

// What the daemon says of its own: jobs that cannot start.
std::string attention_lines(const json::value& status, const Terminal& terminal) {
  std::string lines;
  for (const auto& one : list(status, "attention")) {
    lines += painted(visible(text(one, "reason")), "critical", terminal) + "\n";
  }
  return lines;
}

std::string not_ready_lines(const json::value& status) {
  std::string lines;
  for (const auto& part : list(status, "not_ready")) {
    lines += visible(format("  {}: {}", text(part, "part"), text(part, "reason"))) + "\n";
  }
  return lines;
}

std::string config_lines(const json::value& config) {
  std::string keys;
  for (const auto& key : list(config, "restart_needed")) {
    if (key.is_string()) keys += (keys.empty() ? "" : ", ") + std::string(key.get_string());
  }
  std::string lines = keys.empty() ? "" : visible("a restart is needed for " + keys) + "\n";
  if (truth(config, "parameters_awaited"))
    lines += "the stack's parameters are awaited: only gentle steps until then\n";
  return lines;
}

std::string engine_line(const json::value& engine, const Terminal& terminal) {
  if (truth(engine, "up")) {
    return visible(format("engine {} (API {}), data in {}", text(engine, "version"), text(engine, "api_version"),
                          text(engine, "root_dir"))) +
           "\n";
  }
  return painted("engine down", "down", terminal) + visible(format(": {}", text(engine, "reason"))) + "\n";
}

std::string state_lines(const json::value& state) {
  std::string lines;
  for (const auto* const part : {"ledger", "journal"}) {
    const auto error = text(state, std::string(part) + "_error");
    if (!error.empty()) lines += visible(format("the {} is not kept on disk: {}", part, error)) + "\n";
  }
  return lines;
}

struct SavedToday {
  double seconds = 0;
  double estimated = 0;
  Bytes bytes = 0;
  double regretted = 0;
};

// Of all kinds together.
SavedToday saved_today(const json::array& kinds) {
  SavedToday sum;
  for (const auto& kind : kinds) {
    const auto& saved = member(member(kind, "saved"), "today");
    sum.seconds += real(saved, "seconds").value_or(0);
    sum.estimated += real(saved, "estimated_seconds").value_or(0);
    sum.bytes += number(saved, "bytes").value_or(0);
    sum.regretted += real(member(member(kind, "regretted"), "today"), "seconds").value_or(0);
  }
  return sum;
}

std::string whole_seconds(double seconds) {
  return short_duration(std::chrono::seconds{static_cast<std::int64_t>(seconds)});
}

// One line of the host, and one of each pipeline that saved something today; none before what was kept is loaded.
std::string savings_lines(const json::value& savings) {
  const auto& host = list(savings, "host");
  if (host.empty()) return "";
  const auto today = saved_today(host);
  auto lines = format("saved today: {} of builds and pulls not waited for", whole_seconds(today.seconds));
  if (today.estimated >= 1) lines += format(" ({} of it estimated)", whole_seconds(today.estimated));
  lines += format(", {} not sent again; regretted {}\n", format_bytes(today.bytes), whole_seconds(today.regretted));
  for (const auto& pipeline : list(savings, "pipelines")) {
    const auto its = saved_today(list(pipeline, "kinds"));
    if (its.seconds < 1) continue;
    lines += visible(format("  {}: {}", text(pipeline, "pipeline"), whole_seconds(its.seconds))) + "\n";
  }
  return lines;
}

// One line, and one for each image that is not there yet.
std::string prefetch_lines(const json::value& prefetch) {
  const auto& images = list(prefetch, "images");
  if (images.empty()) return "";
  std::string lines = visible(format("prefetch: {} of {} done; {}", number(prefetch, "done").value_or(0), images.size(),
                                     text(prefetch, "reason"))) +
                      "\n";
  for (const auto& image : images) {
    if (text(image, "state") == "done") continue;
    const auto builder = text(image, "builder");
    const auto place = builder.empty() ? std::string("the engine") : "builder " + builder;
    lines += visible(format("  {} for {}: {} {}", text(image, "image"), place, text(image, "state"),
                            text(image, "reason"))) +
             "\n";
  }
  return lines + "\n";
}

// One line while there is something to say.
std::string termination_line(const json::value& termination) {
  const auto state = text(termination, "state");
  if (state.empty() || state == "none") return "";
  const auto left = number(termination, "seconds_left");
  auto line = format("termination {} ({}): {}", state, text(termination, "rule"), text(termination, "reason"));
  const auto next = text(termination, "next");
  if (!next.empty()) line += format("; next: {}", next);
  if (!next.empty() && left) line += format(" in {}", short_duration(std::chrono::seconds{*left}));
  return visible(line) + "\n";
}

std::string status_text(const json::value& status, const Terminal& terminal) {
  return daemon_line(status, terminal) + attention_lines(status, terminal) + not_ready_lines(status) +
         config_lines(member(status, "config")) + engine_line(member(status, "engine"), terminal) +
         state_lines(member(status, "state")) + refused_lines(status) +
         termination_line(member(status, "termination")) + savings_lines(member(status, "savings")) + "\n" +
         filesystems_table(list(status, "filesystems"), terminal) + "\n" +
         builders_table(list(status, "builders"), terminal) + "\n" + prefetch_lines(member(status, "prefetch")) +
         jobs_table(list(status, "jobs"), terminal);
}

}  // namespace

int show_status(const Context& context) {
  return show(context, "/v1/status",
              [terminal = context.terminal()](const json::value& status) { return status_text(status, terminal); });
}

}  // namespace buildwarden::cli
