#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/disk_findings.h"
#include "daemon/cli/operation.h"
#include "daemon/cli/stack_lines.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

struct Verdict {
  std::vector<DiskFinding> findings;
  bool by_daemon = false;
  bool purged = false;  // room was asked for, and checkouts are part of what may go
  std::string at_end;   // why the job that asks may end well all the same; "" when it may not
  std::string no_room;  // why nobody made room; "" when that was tried or is not known
};

// With what the agent has of its env file, which a hook's user may not be able to read. In the place of a script of the
// stack the file itself does not count: the hourly service, which ends the instance, does not read it.
config::LoadRequest with_environment(const Context& context, const CheckOptions& options, config::LoadRequest request) {
  request.marks_of_env_file = !options.stack_lines;
  for (const auto* name : {"DISK_MIN_AVAILABLE", "DISK_MIN_INODES"}) {
    if (auto value = context.env(name); !value.empty()) request.environment[name] = std::move(value);
  }
  return request;
}

// A YAML that is wrong or that this user may not read is left out, alone: where the engine's data root is, and what the
// stack's parameters say, stands in other files. What of those does not count is said with `aloud`; what the YAML says
// is for the daemon to say.
Settings settings_or_defaults(const Context& context, const CheckOptions& options, const config::LoadRequest& asked,
                              bool aloud) {
  auto request = with_environment(context, options, asked);
  auto loaded = config::load(request);
  if (!loaded) {
    complain(context, "the configuration does not count, but for what other files say:");
    context.err(loaded.error().message() + "\n");
    request.yaml_path.clear();
    request.yaml_required = false;
    loaded = config::load(request);
  }
  if (!loaded) return {};
  for (const auto& warning : loaded->warnings) {
    if (aloud && !warning.starts_with(asked.yaml_path)) complain(context, "warning: " + warning);
  }
  return std::move(loaded->settings);
}

// What every filesystem that is low must have.
Bytes wanted_by(const std::vector<DiskFinding>& findings) {
  Bytes wanted = 0;
  for (const auto& finding : findings) {
    if (finding.low) wanted = std::max(wanted, finding.wanted);
  }
  return wanted;
}

// Why the job may end well although there is too little; "" when the daemon does not say so.
std::string room_at_end(const json::value& reclaimed) {
  const auto* object = reclaimed.if_object();
  const auto* at_end = object == nullptr ? nullptr : object->if_contains("at_end");
  if (at_end == nullptr || !at_end->is_object() || !truth(*at_end, "enough")) return "";
  return text(*at_end, "reason");
}

// What the daemon is asked for.
struct RoomWanted {
  Bytes free = 0;
  Duration wait{0};
  std::string ending_job;  // "" = none
};

struct RoomMade {
  std::string at_end;         // room_at_end()
  std::string images_failed;  // why no images could go, which other programs may still delete; "" when they could
};

// Has the daemon make room, line by line on stderr, for as long as a job would wait. Whether that helped is to be
// asked.
RoomMade make_room(const Context& context, const RoomWanted& room) {
  const Client client(context, context.silence);
  json::object body{{"target_free_bytes", std::max<Bytes>(room.free, 1)}};
  if (!room.ending_job.empty()) body["ending_job"] = room.ending_job;
  auto answer = client.post("/v1/disk/reclaim", body);
  Progress progress(context, Progress::Where::kErrorLines);
  if (answer) answer = follow_operation(client, std::move(*answer), progress, room.wait);
  if (!answer) {
    complain(context, format("no room was made: {}", answer.error().message()));
  } else if (!answer->good()) {
    complain(context, format("no room was made: {}", problem_text(*answer)));
  } else {
    complain(context, format("room was asked for: {}", text(answer->json, "reason")));
    return {room_at_end(answer->json), text(answer->json, "images_failed")};
  }
  return {};
}

Result<Verdict> ask(const Context& context, const CheckOptions& options, const config::LoadRequest& config) {
  Verdict verdict;
  verdict.by_daemon = true;
  auto told = ask_daemon(context);
  if (!told) return std::move(told).error();
  verdict.findings = *std::move(told);
  if (!deciding(verdict.findings).low || !options.makes_room()) return verdict;
  const auto settings = settings_or_defaults(context, options, config, false);
  verdict.purged = settings.on_full.purge_builds;
  const auto job = options.job_ends ? context.env("BUILDKITE_JOB_ID") : std::string();
  auto made = make_room(context, {wanted_by(verdict.findings), settings.jobs.admission_wait, job});
  verdict.at_end = std::move(made.at_end);
  auto again = ask_daemon(context);
  if (!again) return std::move(again).error();
  verdict.findings = *std::move(again);
  const bool is_refusal = deciding(verdict.findings).low && verdict.at_end.empty();
  if (is_refusal && !made.images_failed.empty()) {
    return Error(Errc::kUnavailable, format("it could delete no images: {}", visible(made.images_failed)));
  }
  return verdict;
}

void print_plainly(const Context& context, const Verdict& verdict) {
  std::string lines;
  json::array filesystems;
  for (const auto& finding : verdict.findings) {
    lines += visible(finding.reason) + "\n";
    filesystems.push_back(json::object{{"mount", as_utf8(finding.mount)},
                                       {"low", finding.low},
                                       {"free_bytes", finding.free},
                                       {"critical_bytes", finding.wanted},
                                       {"reason", as_utf8(finding.reason)}});
  }
  const json::object document{
      {"low", deciding(verdict.findings).low},
      {"measured_by", verdict.by_daemon ? "daemon" : "client"},
      {"at_end", verdict.at_end.empty() ? json::value(nullptr) : json::value(as_utf8(verdict.at_end))},
      {"filesystems", std::move(filesystems)}};
  if (context.json) {
    print_json(context, json::serialize(document));
  } else {
    context.out(lines);
  }
}

// In the shape of a verdict, of no filesystem.
json::object unmeasured_document(const std::string& why) {
  return {{"low", false}, {"measured_by", nullptr}, {"filesystems", json::array{}}, {"reason", as_utf8(why)}};
}

int conclude(const Context& context, const CheckOptions& options, const Verdict& verdict) {
  const auto& finding = deciding(verdict.findings);
  const bool goes_at_end = finding.low && !verdict.at_end.empty();
  if (options.stack_lines && !context.json) {
    const auto lines = stack_lines(finding, verdict.purged);
    context.out(lines.out);
    if (finding.low && !verdict.no_room.empty()) context.out(format("No room was made: {}\n", verdict.no_room));
    if (!goes_at_end) context.err(lines.err);
  } else {
    print_plainly(context, verdict);
  }
  if (goes_at_end) complain(context, format("too little room is free, and enough will be: {}", verdict.at_end));
  return finding.low && !goes_at_end ? kNo : kYes;
}

// `no_room`: why the daemon does not decide; "" when it is not asked.
int measure_and_conclude(const Context& context, const CheckOptions& options, const config::LoadRequest& config,
                         const std::string& no_room) {
  auto measured = measure_here(settings_or_defaults(context, options, config, true));
  if (measured) return conclude(context, options, {*std::move(measured), false, false, "", no_room});
  const auto why = format("unknown: {}, which is no reason to refuse a job", measured.error().message());
  complain(context, why);
  if (context.json) context.out(json::serialize(unmeasured_document(why)) + "\n");
  return kYes;
}

}  // namespace

int check_disk(const Context& context, const CheckOptions& options, const config::LoadRequest& config) {
  if (options.here) return measure_and_conclude(context, options, config, "");
  const auto verdict = ask(context, options, config);
  if (verdict) return conclude(context, options, *verdict);
  const auto& error = verdict.error();
  complain(context, format("measured here, since the daemon does not say ({})", error.message()));
  return measure_and_conclude(context, options, config, error.message());
}

}  // namespace buildwarden::cli
