#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "common/format.h"
#include "common/shell_quote.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/buildx_version.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/job_files.h"
#include "daemon/cli/operation.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

constexpr std::size_t kShownUsers = 8;

void put(json::object& body, std::string_view key, const std::string& value) {
  if (!value.empty()) body[key] = value;
}

void put(json::object& body, std::string_view key, std::int64_t value) {
  if (value != 0) body[key] = value;
}

void put(json::object& body, std::string_view key, const std::vector<std::string>& values) {
  if (!values.empty()) body[key] = json::array(values.begin(), values.end());
}

json::value to_request(const JobOptions& options) {
  json::object body;
  put(body, "id", options.id);
  put(body, "agent", options.agent);
  put(body, "pipeline", options.pipeline);
  put(body, "checkout_path", options.checkout);
  put(body, "pid", options.pid);
  put(body, "need_bytes", options.need);
  put(body, "builders", options.builders);
  put(body, "use", options.use);
  put(body, "platforms", options.platforms);
  put(body, "cache_name", options.cache_name);
  if (options.reuse_context) body["reuse_context"] = *options.reuse_context;
  if (options.load) body["load"] = *options.load;
  if (options.ttl) body["ttl_seconds"] = options.ttl->count() / 1000;
  return body;
}

// The verdict in the words of a hook, which are not exported: nothing that a job could take for its own.
void tell_hook(const Context& context, const JobOptions& options, std::string_view verdict, const json::value& answer) {
  if (!options.hook || context.json) return;
  context.out(format("BUILDWARDEN_VERDICT={}\n", verdict));
  if (verdict != "refuse") return;
  context.out(format("BUILDWARDEN_REASON={}\nBUILDWARDEN_PAUSE_AGENT={}\n",
                     shell_quote(visible(text(answer, "reason"))), truth(answer, "pause_agent")));
}

// The job goes on as it would on a machine without the daemon.
int without_daemon(const Context& context, std::string_view what, const Error& error) {
  if (error.code() == Errc::kDenied) return report_failure(context, error);
  complain(context, format("{}: the daemon does not serve it ({}); the job goes on without it", what, error.message()));
  return kYes;
}

// A daemon that is there but cannot serve (starting, broken, at its bounds, of another version) must not break a job
// either: 507 alone is its word against the job. What was asked wrongly and what is denied is said by the exit code.
bool cannot_serve(const Answer& answer) {
  if (answer.good() || answer.status == 507) return false;
  return answer.status != 400 && answer.status != 401 && answer.status != 403;
}

// Of an answer that is no verdict.
ExitCode report_mistake(const Context& context, const Answer& answer) {
  const auto code = report_problem(context, answer);
  return code == kDenied ? kDenied : kUsage;
}

// What a hook does by itself where nobody answers deletes images, too, so the daemon's no is none while it could not:
// the job's fate is that of a machine without the daemon.
int let_hook_decide(const Context& context, const JobOptions& options, const Answer& answer) {
  tell_hook(context, options, "absent", {});
  complain(context,
           format("job {}: {}, but the daemon could delete no images ({}), so what there is without it decides",
                  options.id, problem_text(answer), visible(text(answer.json, "images_failed"))));
  return kYes;
}

// "checkouts of agent-1", "cache of the builder s3", in words fit for a job's log.
std::string described(const json::value& user) {
  const auto kind = text(user, "kind");
  const auto name = text(user, "name");
  if (kind == "images" || kind == "containers") return name.empty() ? kind : format("{} ({})", kind, name);
  if (kind == "build_cache") return format("build cache of the engine ({})", name);
  if (kind == "builder_cache") return format("cache of the builder {}", name);
  if (kind == "checkouts") return format("checkouts of {}", name);
  if (kind == "unattributed") return "files of nobody in particular";
  return name.empty() ? kind : format("{} {}", kind, name);
}

int refuse(const Context& context, const Answer& answer) {
  const auto code = report_problem(context, answer);
  std::size_t shown = 0;
  for (const auto& user : list(answer.json, "users")) {
    if (++shown > kShownUsers) break;
    complain(context, format("  {}: {}", described(user), size(user, "bytes")));
  }
  return code;
}

// An instance with `default-load` breaks each build of a buildx that does not know it.
json::array usable_files(const Context& context, const json::array& files) {
  auto plain = without_default_load(files);
  if (plain == files) return files;
  const auto told = context.buildx_version ? context.buildx_version() : std::string();
  const auto version = read_buildx_version(told);
  if (version && *version >= kDefaultLoad) return files;
  const auto which = version ? format("buildx {}.{}", version->major, version->minor) : "a buildx of no known version";
  complain(context,
           format("`docker build -t` leaves no image in the engine: {} does not know default-load, 0.14 does", which));
  return plain;
}

// The variables that make sense with the files that could be written.
std::string hand_over(const Context& context, const json::value& grant) {
  const auto& env = member(grant, "env");
  const auto& files = list(grant, "files");
  if (files.empty()) return export_lines(context, env, "");
  const auto folder = buildx_folder(context);
  auto written = folder.empty() ? Result<void>(Error(Errc::kInvalid, "neither BUILDX_CONFIG nor DOCKER_CONFIG is set"))
                                : write_job_files(folder, usable_files(context, files));
  if (written) return export_lines(context, env, "");
  // BUILDX_BUILDER without the instance's file would break each `docker build` of the job.
  complain(context, format("the builders are not handed out: {}", written.error().message()));
  return export_lines(context, env, "BUILDX_BUILDER");
}

int accept(const Context& context, const JobOptions& options, const Answer& answer) {
  if (context.json) {
    print_json(context, answer.body);
    return kYes;
  }
  const auto note = text(answer.json, "note");
  if (!note.empty()) complain(context, visible(note));
  context.out(options.print_env ? export_lines(context, member(answer.json, "env"), "")
                                : hand_over(context, answer.json));
  return kYes;
}

}  // namespace

int start_job(const Context& context, const JobOptions& options) {
  const auto absent = [&](const Error& error) {
    tell_hook(context, options, "absent", {});
    return without_daemon(context, format("job {}", options.id), error);
  };
  const Client client(context, context.silence);
  auto answer = client.post("/v1/jobs", to_request(options));
  if (!answer) return absent(answer.error());
  Progress progress(context, Progress::Where::kErrorLines);
  answer = follow_operation(client, std::move(*answer), progress, std::nullopt);
  if (!answer) return absent(answer.error());
  if (cannot_serve(*answer)) return absent(Error(Errc::kUnavailable, problem_text(*answer)));
  const bool refused = answer->status == 507 || text(answer->json, "verdict") == "refuse";
  const bool accepted = answer->good() && !refused;
  if (refused && options.hook && !text(answer->json, "images_failed").empty()) {
    return let_hook_decide(context, options, *answer);
  }
  // What is wrong with the request is no verdict on the disk: the hook then looks for itself.
  tell_hook(context, options, accepted ? "run" : refused ? "refuse" : "absent", answer->json);
  if (accepted) return accept(context, options, *answer);
  return refused ? refuse(context, *answer) : report_mistake(context, *answer);
}

int end_job(const Context& context, const std::string& id) {
  const auto what = format("job {}", id);
  const Client client(context, context.silence);
  auto answer = client.remove("/v1/jobs/" + path_segment(id));
  if (!answer) return without_daemon(context, what, answer.error());
  if (answer->status == 404) {
    // It ended by itself, or was started while the daemon was away: nothing is wrong with the job.
    complain(context, format("{} is not known, so there is nothing to end", what));
    return kYes;
  }
  if (cannot_serve(*answer)) return without_daemon(context, what, Error(Errc::kUnavailable, problem_text(*answer)));
  if (!answer->good()) return report_mistake(context, *answer);
  if (context.json) print_json(context, answer->body.empty() ? "{}" : answer->body);
  return kYes;
}

}  // namespace buildwarden::cli
