#include "daemon/policy/admission.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr Duration kReservedFor = std::chrono::minutes{15};

Bytes wanted_on(const GateFilesystem& gate, Bytes reserved, Bytes need) {
  // At least a byte: a filesystem without a critical mark that is full is full all the same.
  return std::max({gate.critical, need, Bytes{1}}) + reserved;
}

bool has_inodes(const GateFilesystem& gate) { return gate.free_inodes >= gate.critical_inodes; }

std::string numbers(const GateFilesystem& gate, Bytes reserved, Bytes need) {
  auto text = format(
      "{} are free on {} and the job needs {}", format_bytes(gate.free), gate.mount,
      need > gate.critical ? format_bytes(need) : format("the critical mark of {}", format_bytes(gate.critical)));
  if (reserved > 0) text += format(" beside {} promised to running jobs", format_bytes(reserved));
  return text;
}

Admission lacking(const GateFilesystem& gate, Bytes reserved, Bytes need, bool room_was_made) {
  Admission result;
  result.verdict = room_was_made ? Verdict::kRefuse : Verdict::kMakeRoom;
  result.rule = "not_enough";
  result.mount = gate.mount;
  result.wanted_free = wanted_on(gate, reserved, need);
  result.wanted_inodes = gate.critical_inodes;
  result.reason = gate.free < result.wanted_free ? numbers(gate, reserved, need)
                                                 : format("{} inodes are free on {} and the critical mark is {}",
                                                          gate.free_inodes, gate.mount, gate.critical_inodes);
  if (room_was_made) result.reason += ", after all that is allowed was done";
  return result;
}

Admission running(const GateFilesystem& gate, Bytes reserved, Bytes need) {
  Admission result;
  result.mount = gate.mount;
  result.wanted_free = wanted_on(gate, reserved, need);
  result.wanted_inodes = gate.critical_inodes;
  result.rule = "enough";
  result.reason = numbers(gate, reserved, need);
  return result;
}

Admission unmeasured(const std::string& mount) {
  Admission result;
  result.rule = "unknown";
  result.mount = mount;
  result.reason = mount.empty() ? "no filesystem gates jobs, so nothing is known against running this one"
                                : format("the free space on {} is not known, which is no reason to refuse", mount);
  return result;
}

}  // namespace

Admission admit(const std::vector<GateFilesystem>& gates, Bytes reserved, Bytes need, bool room_was_made) {
  reserved = std::max<Bytes>(reserved, 0);
  need = std::max<Bytes>(need, 0);
  const GateFilesystem* unknown = nullptr;
  const GateFilesystem* short_of_inodes = nullptr;
  const GateFilesystem* tightest = nullptr;
  const auto headroom = [&](const GateFilesystem& gate) { return gate.free - wanted_on(gate, reserved, need); };
  for (const auto& gate : gates) {
    if (gate.level == Level::kUnknown) {
      unknown = unknown == nullptr ? &gate : unknown;
      continue;
    }
    if (!has_inodes(gate) && short_of_inodes == nullptr) short_of_inodes = &gate;
    if (tightest == nullptr || headroom(gate) < headroom(*tightest)) tightest = &gate;
  }
  if (tightest != nullptr && headroom(*tightest) < 0) return lacking(*tightest, reserved, need, room_was_made);
  if (short_of_inodes != nullptr) return lacking(*short_of_inodes, reserved, need, room_was_made);
  if (unknown != nullptr) return unmeasured(unknown->mount);
  if (tightest == nullptr) return unmeasured({});
  return running(*tightest, reserved, need);
}

// Each byte that the filesystem lost counts once, for one of the reservations that were there when it was lost.
Bytes outstanding(const std::vector<Reservation>& reserved, Bytes free_now, BootTime now) {
  std::vector<Reservation> active;
  for (const auto& one : reserved) {
    if (now - one.since < kReservedFor && one.bytes > 0) active.push_back(one);
  }
  std::sort(active.begin(), active.end(), [](const Reservation& one, const Reservation& other) {
    return std::tuple(one.since, -one.free_at_start) < std::tuple(other.since, -other.free_at_start);
  });
  for (std::size_t i = 0; i < active.size(); ++i) {
    const auto free_at_end = i + 1 < active.size() ? active[i + 1].free_at_start : free_now;
    auto lost = std::max<Bytes>(active[i].free_at_start - free_at_end, 0);
    for (std::size_t j = 0; j <= i && lost > 0; ++j) {
      const auto used = std::min(active[j].bytes, lost);
      active[j].bytes -= used;
      lost -= used;
    }
  }
  Bytes sum = 0;
  for (const auto& one : active) sum += one.bytes;
  return sum;
}

}  // namespace buildwarden::policy
