#include <sys/statvfs.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <optional>

#include "common/clock.h"
#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// One filesystem's part of the verdict.
struct Finding {
  std::string mount;
  bool low = false;
  Bytes free = 0;
  Bytes wanted = 0;
  std::string reason;
};

std::string say(const Finding& finding, std::string_view more) {
  return format("{}: {} has {} free, at least {} wanted{}", finding.low ? "low" : "ok", finding.mount,
                format_bytes(finding.free), format_bytes(finding.wanted), more);
}

// The daemon's word on one filesystem; nothing when it does not know.
std::optional<Finding> of_view(const json::value& filesystem) {
  const auto level = text(filesystem, "level");
  const auto free = number(filesystem, "free_bytes");
  const auto wanted = number(member(filesystem, "marks"), "critical_bytes");
  if (level.empty() || level == "unknown" || !free || !wanted) return std::nullopt;
  Finding finding{text(filesystem, "mount"), level == "critical" || level == "exhausted", *free, *wanted, ""};
  finding.reason = say(finding, format(" (level {})", level));
  return finding;
}

// Nothing when there is no daemon or one of the gating filesystems is unknown to it: then it is measured here.
Result<std::vector<Finding>> ask_daemon(const Context& context) {
  auto answer = Client(context, context.silence).get("/v1/disk");
  if (!answer) return std::move(answer).error();
  if (answer->status == 403) return Error(Errc::kDenied, problem_text(*answer));
  if (!answer->good()) return Error(Errc::kUnavailable, problem_text(*answer));
  std::vector<Finding> findings;
  for (const auto& filesystem : list(answer->json, "filesystems")) {
    if (!truth(filesystem, "gate")) continue;
    auto finding = of_view(filesystem);
    if (!finding) return Error(Errc::kUnavailable, format("it does not know {}", text(filesystem, "mount")));
    findings.push_back(std::move(*finding));
  }
  if (findings.empty()) return Error(Errc::kUnavailable, "it watches no filesystem that admits jobs");
  return findings;
}

Settings settings_or_defaults(const Context& context, const config::LoadRequest& request) {
  auto loaded = config::load(request);
  if (loaded) return std::move(loaded->settings);
  complain(context, "the configuration is invalid, so the defaults count:");
  context.err(loaded.error().message() + "\n");
  return {};
}

Result<policy::Reading> measure(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) return Error::from_errno(errno, format("measure {}", path));
  const auto block = static_cast<Bytes>(info.f_frsize);
  policy::Reading reading;
  reading.total = static_cast<Bytes>(info.f_blocks) * block;
  reading.free = static_cast<Bytes>(info.f_bavail) * block;
  reading.total_inodes = static_cast<std::int64_t>(info.f_files);
  reading.free_inodes = static_cast<std::int64_t>(info.f_favail);
  reading.at = SystemClock().now();
  return reading;
}

Result<std::vector<Finding>> measure_here(const Settings& settings) {
  const auto& path = settings.engine.data_root;
  const auto reading = measure(path);
  if (!reading) return reading.error();
  const auto marks = policy::marks_for(settings.disk, *reading, true);
  const bool no_inodes = reading->free_inodes < marks.critical_inodes;
  Finding finding{path, reading->free < marks.critical || no_inodes, reading->free, marks.critical, ""};
  const auto inodes = format(" ({} inodes free, at least {} wanted)", reading->free_inodes, marks.critical_inodes);
  finding.reason = say(finding, marks.critical_inodes > 0 ? inodes : "");
  return std::vector<Finding>{std::move(finding)};
}

int conclude(const Context& context, const std::vector<Finding>& findings, std::string_view measured_by) {
  bool low = false;
  std::string lines;
  json::array filesystems;
  for (const auto& finding : findings) {
    low = low || finding.low;
    lines += printable(finding.reason) + "\n";
    filesystems.push_back(json::object{{"mount", finding.mount},
                                       {"low", finding.low},
                                       {"free_bytes", finding.free},
                                       {"critical_bytes", finding.wanted},
                                       {"reason", finding.reason}});
  }
  const json::object document{{"low", low}, {"measured_by", measured_by}, {"filesystems", std::move(filesystems)}};
  context.out(context.json ? json::serialize(document) + "\n" : lines);
  return low ? kNo : kYes;
}

}  // namespace

int check_disk(const Context& context, const config::LoadRequest& config) {
  const auto told = ask_daemon(context);
  if (told) return conclude(context, *told, "daemon");
  if (told.error().code() == Errc::kDenied) return report_failure(context, told.error());
  complain(context, format("measured here, since the daemon does not say ({})", told.error().message()));
  const auto measured = measure_here(settings_or_defaults(context, config));
  if (measured) return conclude(context, *measured, "client");
  complain(context, measured.error().message());
  return kNo;
}

}  // namespace buildwarden::cli
