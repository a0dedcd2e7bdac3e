#include "daemon/policy/admission.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr std::size_t kNamedPromises = 3;

bool has_inodes(const GateFilesystem& gate) { return gate.free_inodes >= gate.critical_inodes; }

std::string named(const Promise& promise) {
  return promise.pipeline.empty() ? format("job {}", promise.job)
                                  : format("job {} of pipeline {}", promise.job, promise.pipeline);
}

// "2.00 GiB reserved by job 42 of pipeline web", the largest first.
std::string named(std::vector<Promise> promised) {
  std::erase_if(promised, [](const Promise& one) { return one.bytes <= 0; });
  std::sort(promised.begin(), promised.end(), [](const Promise& one, const Promise& other) {
    return std::tie(other.bytes, one.job) < std::tie(one.bytes, other.job);
  });
  std::string text;
  for (std::size_t i = 0; i < promised.size() && i < kNamedPromises; ++i) {
    text += format("{}{} reserved by {}", i == 0 ? "" : ", ", format_bytes(promised[i].bytes), named(promised[i]));
  }
  if (promised.size() <= kNamedPromises) return text;
  promised.erase(promised.begin(), promised.begin() + kNamedPromises);
  return text + format(" and {} by {} others", format_bytes(sum_of(promised)), promised.size());
}

// What is judged: one job beside what others were promised.
struct Question {
  const std::vector<Promise>& promised;
  Bytes need;
  bool is_root;
  // What of the promises stands against a need of so much there.
  [[nodiscard]] std::vector<Promise> standing(const GateFilesystem& gate, Bytes needed) const {
    auto against = promised;
    if (needed > gate.critical) return against;
    for (auto& one : against) one.bytes = one.from_all;
    return against;
  }
  [[nodiscard]] Bytes reserved(const GateFilesystem& gate, Bytes needed) const {
    return sum_of(standing(gate, needed));
  }
};

Bytes wanted_on(const GateFilesystem& gate, const Question& asked, Bytes need) {
  // At least a byte: a filesystem without a critical mark that is full is full all the same.
  return std::max({gate.critical, need, Bytes{1}}) + asked.reserved(gate, need);
}

Bytes headroom(const GateFilesystem& gate, const Question& asked) {
  return gate.free - wanted_on(gate, asked, asked.need);
}

std::string numbers(const GateFilesystem& gate, const Question& asked) {
  auto text = format(
      "{} are free on {} and the job needs {}", format_bytes(gate.free), gate.mount,
      asked.need > gate.critical ? format_bytes(asked.need) : format("{} (min_free)", format_bytes(gate.critical)));
  if (asked.reserved(gate, asked.need) > 0) text += " + " + named(asked.standing(gate, asked.need));
  return text;
}

Admission judged(const GateFilesystem& gate, const Question& asked, Verdict verdict, std::string_view rule) {
  Admission result;
  result.verdict = verdict;
  result.rule = rule;
  result.mount = gate.mount;
  result.wanted_free = wanted_on(gate, asked, asked.need);
  result.wanted_inodes = gate.critical_inodes;
  result.reason = numbers(gate, asked);
  result.hits_all = verdict == Verdict::kRefuse && (gate.free < wanted_on(gate, asked, 0) || !has_inodes(gate));
  return result;
}

std::optional<Admission> impossible(const GateFilesystem& gate, const Question& asked) {
  const auto most = std::max<Bytes>(gate.total - gate.critical, 0);
  if (gate.total <= 0 || asked.need <= most) return std::nullopt;
  auto result = judged(gate, asked, Verdict::kRefuse, "never_fits");
  result.reason = format("the job needs {} and {} can never have more than {} for one: it holds {}, less {} (min_free)",
                         format_bytes(asked.need), gate.mount, format_bytes(most), format_bytes(gate.total),
                         format_bytes(gate.critical));
  return result;
}

Admission lacking(const GateFilesystem& gate, const Question& asked, bool room_was_made) {
  auto result = judged(gate, asked, room_was_made ? Verdict::kRefuse : Verdict::kMakeRoom, "not_enough");
  const bool by_bytes = gate.free < result.wanted_free;
  const bool wants_more = by_bytes && result.wanted_free > std::max<Bytes>(gate.critical, 1);
  if (wants_more && !asked.is_root && gate.target > 0 && result.wanted_free > gate.target) {
    result = judged(gate, asked, Verdict::kRefuse, "above_reclaim_to");
    result.reason += format(", and only root may have more than {} (reclaim_to) made free", format_bytes(gate.target));
    return result;
  }
  result.needs_estimate = wants_more && !room_was_made;
  if (!by_bytes) {
    result.reason = format("{} inodes are free on {} and the critical mark is {}", gate.free_inodes, gate.mount,
                           gate.critical_inodes);
  }
  if (room_was_made) result.reason += ", after all that is allowed was done";
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

// What was lost while each was the latest counts for the oldest that have not used theirs up.
std::vector<Bytes> used_of(const std::vector<Reservation>& active, Bytes free_now) {
  std::vector<Bytes> used(active.size(), 0);
  for (std::size_t i = 0; i < active.size(); ++i) {
    const auto free_at_end = i + 1 < active.size() ? active[i + 1].free_at_start : free_now;
    auto lost = std::max<Bytes>(active[i].free_at_start - free_at_end, 0);
    for (std::size_t j = 0; j <= i && lost > 0; ++j) {
      const auto more = std::min(active[j].bytes - used[j], lost);
      used[j] += more;
      lost -= more;
    }
  }
  return used;
}

// Less than that may be the log of somebody else.
Bytes least_progress(const Reservation& one) { return std::max<Bytes>(one.bytes / 128, 1); }

double counting_share(Duration idle) {
  if (idle <= kReservedInFull) return 1;
  if (idle >= kReservedIdle) return 0;
  return static_cast<double>((kReservedIdle - idle).count()) /
         static_cast<double>((kReservedIdle - kReservedInFull).count());
}

}  // namespace

Bytes sum_of(const std::vector<Promise>& promised) {
  Bytes sum = 0;
  for (const auto& one : promised) sum += std::max<Bytes>(one.bytes, 0);
  return sum;
}

Bytes sum_from_all(const std::vector<Promise>& promised) {
  Bytes sum = 0;
  for (const auto& one : promised) sum += std::max<Bytes>(one.from_all, 0);
  return sum;
}

Admission admit(const std::vector<GateFilesystem>& gates, const std::vector<Promise>& promised, const JobNeed& need,
                bool room_was_made) {
  const Question asked{promised, std::max<Bytes>(need.bytes, 0), need.uid == 0};
  const GateFilesystem* unknown = nullptr;
  const GateFilesystem* short_of_inodes = nullptr;
  const GateFilesystem* tightest = nullptr;
  for (const auto& gate : gates) {
    if (gate.level == Level::kUnknown) {
      unknown = unknown == nullptr ? &gate : unknown;
      continue;
    }
    if (asked.need > 0) {
      if (auto refused = impossible(gate, asked)) return *std::move(refused);
    }
    if (!has_inodes(gate) && short_of_inodes == nullptr) short_of_inodes = &gate;
    if (tightest == nullptr || headroom(gate, asked) < headroom(*tightest, asked)) tightest = &gate;
  }
  if (tightest != nullptr && headroom(*tightest, asked) < 0) return lacking(*tightest, asked, room_was_made);
  if (short_of_inodes != nullptr) return lacking(*short_of_inodes, asked, room_was_made);
  if (unknown != nullptr) return unmeasured(unknown->mount);
  if (tightest == nullptr) return unmeasured({});
  return judged(*tightest, asked, Verdict::kRun, "enough");
}

Admission weighed(Admission wanted, const SpaceEstimate& estimate) {
  const bool in_vain = estimate.known && !estimate.reached && estimate.free_after < wanted.wanted_free;
  if (!wanted.needs_estimate || !in_vain) return wanted;
  wanted.verdict = Verdict::kRefuse;
  wanted.rule = "out_of_reach";
  wanted.reason +=
      format(", and no more than {} would be free if all that may go were deleted", format_bytes(estimate.free_after));
  return wanted;
}

Reservable reservable(const std::vector<GateFilesystem>& gates, const std::vector<Promise>& promised,
                      const JobNeed& need) {
  Bytes held = 0;
  for (const auto& one : promised) held += one.uid == need.uid ? one.bytes : 0;
  bool is_known = false;
  Reservable most{.bytes = need.bytes, .from_all = need.bytes};
  for (const auto& gate : gates) {
    if (gate.level == Level::kUnknown) continue;
    is_known = true;
    if (need.uid != 0 && gate.total > 0) {
      const auto share = static_cast<double>(gate.total - gate.critical) * kReservedShareOfUser;
      most.bytes = std::min(most.bytes, static_cast<Bytes>(share) - held);
    }
    most.from_all = std::min(most.from_all, gate.free - std::max<Bytes>(gate.critical, 1) - sum_from_all(promised));
  }
  if (!is_known || most.bytes <= 0) return {};
  most.from_all = std::clamp<Bytes>(most.from_all, 0, most.bytes);
  return most;
}

std::vector<Reservation> observed(std::vector<Reservation> reserved, Bytes free_now, BootTime now) {
  std::erase_if(reserved, [now](const Reservation& one) { return now - one.since >= kReservedFor || one.bytes <= 0; });
  std::sort(reserved.begin(), reserved.end(), [](const Reservation& one, const Reservation& other) {
    return std::pair(one.since, -one.free_at_start) < std::pair(other.since, -other.free_at_start);
  });
  const auto used = used_of(reserved, free_now);
  for (std::size_t i = 0; i < reserved.size(); ++i) {
    auto& one = reserved[i];
    if (used[i] - one.written < least_progress(one)) continue;
    one.written = used[i];
    one.wrote = now;
  }
  return reserved;
}

std::vector<Promise> outstanding(const std::vector<Reservation>& reserved, BootTime now) {
  std::vector<Promise> promised;
  for (const auto& one : reserved) {
    if (now - one.since >= kReservedFor) continue;
    const auto share = counting_share(now - one.wrote);
    const auto rest = static_cast<Bytes>(static_cast<double>(one.bytes - one.written) * share);
    const auto from_all = static_cast<Bytes>(static_cast<double>(one.from_all - one.written) * share);
    if (rest > 0) promised.push_back({one.job, one.pipeline, one.uid, rest, std::max<Bytes>(from_all, 0)});
  }
  return promised;
}

}  // namespace buildwarden::policy
