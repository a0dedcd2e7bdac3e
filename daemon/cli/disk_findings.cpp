#include "daemon/cli/disk_findings.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cerrno>
#include <optional>
#include <tuple>

#include "common/clock.h"
#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

std::string say(const DiskFinding& finding, std::string_view more) {
  return format("{}: {} has {} free, at least {} wanted{}", finding.low ? "low" : "ok", finding.mount,
                format_bytes(finding.free), format_bytes(finding.wanted), more);
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

// The daemon's word on one filesystem, with the figures of now where it can be measured here as well: the daemon's own
// are seconds old on a calm disk. Nothing when it does not know.
std::optional<DiskFinding> of_view(const json::value& filesystem) {
  const auto level = text(filesystem, "level");
  const auto& marks = member(filesystem, "marks");
  const auto free = number(filesystem, "free_bytes");
  const auto wanted = number(marks, "critical_bytes");
  if (level.empty() || level == "unknown" || !free || !wanted) return std::nullopt;
  DiskFinding finding;
  finding.mount = text(filesystem, "mount");
  finding.free = *free;
  finding.wanted = *wanted;
  finding.free_inodes = number(filesystem, "free_inodes").value_or(0);
  finding.wanted_inodes = number(marks, "critical_inodes").value_or(0);
  const auto now = measure(finding.mount);
  const bool same = now && now->total == number(filesystem, "total_bytes");
  if (same) finding.free = now->free;
  if (same) finding.free_inodes = now->free_inodes;
  const bool told = !same && (level == "critical" || level == "exhausted");
  finding.low = told || finding.lacks_bytes() || finding.lacks_inodes();
  finding.reason = say(finding, format(" (level {})", level));
  return finding;
}

}  // namespace

Result<std::vector<DiskFinding>> ask_daemon(const Context& context) {
  auto answer = Client(context, context.silence).get("/v1/disk");
  if (!answer) return std::move(answer).error();
  if (answer->status == 403) return Error(Errc::kDenied, problem_text(*answer));
  if (!answer->good()) return Error(Errc::kUnavailable, problem_text(*answer));
  std::vector<DiskFinding> findings;
  std::string unknown;
  for (const auto& filesystem : list(answer->json, "filesystems")) {
    if (!truth(filesystem, "gate")) continue;
    auto finding = of_view(filesystem);
    if (!finding) unknown = text(filesystem, "mount");
    if (finding) findings.push_back(std::move(*finding));
  }
  // One that is low decides, whatever is not known of the others.
  const bool is_low = !findings.empty() && deciding(findings).low;
  if (!unknown.empty() && !is_low) return Error(Errc::kUnavailable, format("it does not know {}", unknown));
  if (findings.empty()) return Error(Errc::kUnavailable, "it watches no filesystem that admits jobs");
  return findings;
}

namespace {

Result<DiskFinding> measured(const std::string& path, const Settings& settings) {
  const auto reading = measure(path);
  if (!reading) return reading.error();
  const auto marks = policy::marks_for(settings.disk, *reading, true);
  DiskFinding finding;
  finding.mount = path;
  finding.free = reading->free;
  finding.wanted = marks.critical;
  finding.free_inodes = reading->free_inodes;
  finding.wanted_inodes = marks.critical_inodes;
  finding.low = finding.lacks_bytes() || finding.lacks_inodes();
  const auto inodes = format(" ({} inodes free, at least {} wanted)", reading->free_inodes, marks.critical_inodes);
  finding.reason = say(finding, marks.critical_inodes > 0 ? inodes : "");
  return finding;
}

// What gates jobs by the configuration; the data root where it names nothing.
std::vector<std::string> gates_of(const Settings& settings) {
  std::vector<std::string> gates;
  for (const auto& watched : settings.disk.watch) {
    if (watched.gate) gates.push_back(watched.path);
  }
  if (gates.empty()) gates.push_back(settings.engine.data_root);
  return gates;
}

}  // namespace

Result<std::vector<DiskFinding>> measure_here(const Settings& settings) {
  std::vector<DiskFinding> findings;
  std::optional<Error> unknown;
  for (const auto& path : gates_of(settings)) {
    auto finding = measured(path, settings);
    if (!finding) unknown = finding.error();
    if (finding) findings.push_back(*std::move(finding));
  }
  const bool is_low = !findings.empty() && deciding(findings).low;
  if (unknown && !is_low) return *std::move(unknown);
  return findings;
}

const DiskFinding& deciding(const std::vector<DiskFinding>& findings) {
  return *std::min_element(findings.begin(), findings.end(), [](const DiskFinding& one, const DiskFinding& other) {
    return std::tuple(!one.low, one.free - one.wanted) < std::tuple(!other.low, other.free - other.wanted);
  });
}

}  // namespace buildwarden::cli
