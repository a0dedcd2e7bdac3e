#include "daemon/policy/emulation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr Duration kFirstPause = std::chrono::seconds{30};
constexpr Duration kLongestPause = std::chrono::minutes{10};
constexpr Duration kPrice = std::chrono::minutes{1};  // of a repair that worked
constexpr int kAtOnce = 8;

const BinfmtEntry* find(const std::vector<BinfmtEntry>& entries, const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& one) { return one.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

// An enabled one of another tool that takes programs of this platform.
const BinfmtEntry* find_other(const std::vector<BinfmtEntry>& entries, const DesiredPlatform& wish) {
  for (const auto& entry : entries) {
    if (entry.name != wish.handler && entry.enabled && entry.offset == 0 && !entry.magic.empty() &&
        entry.magic.substr(0, 20) == wish.magic.substr(0, 20)) {
      return &entry;
    }
  }
  return nullptr;
}

struct Look {
  const DesiredPlatform& wish;
  const ObservedEmulation& seen;
  const std::vector<std::string>& order;
  Now now;
  const BinfmtEntry* own = nullptr;
  const BinfmtEntry* other = nullptr;
  Proof proof{};
  bool own_unreadable = false;
  bool with_p = true;  // the emulator is wanted with flag P
  [[nodiscard]] bool any() const { return own != nullptr || other != nullptr || own_unreadable; }
};

Look look_at(const DesiredPlatform& wish, const ObservedEmulation& seen, const std::vector<std::string>& order,
             Now now) {
  Look look{wish, seen, order, now};
  look.own = find(seen.entries, wish.handler);
  look.other = find_other(seen.entries, wish);
  const auto proof = seen.proofs.find(wish.platform);
  if (proof != seen.proofs.end()) look.proof = proof->second;
  look.own_unreadable = std::find(seen.broken.begin(), seen.broken.end(), wish.handler) != seen.broken.end();
  return look;
}

// In what our entry differs from the one that is wanted: rule and sentence; no rule = in nothing.
struct Fault {
  std::string rule;
  std::string reason;
};

bool has_p(const BinfmtEntry& entry) { return entry.flags.find('P') != std::string::npos; }

Fault fault_of(const BinfmtEntry& own, const BinfmtEntry& wanted, bool with_p) {
  if (!own.enabled) return {"disabled", format("{} is disabled", own.name)};
  if (own.flags.find('F') == std::string::npos) {
    return {"not_fixed",
            format("{} has flags \"{}\" without F, so it does not work in containers", own.name, own.flags)};
  }
  if (own.interpreter != wanted.interpreter) {
    return {"changed", format("{} leads to {} and not to {}", own.name, own.interpreter, wanted.interpreter)};
  }
  auto as_wanted = own;
  as_wanted.flags = wanted.flags;
  if (as_wanted != wanted) return {"changed", format("{} has another magic or mask than ours", own.name)};
  if (has_p(own) == with_p) return {};
  return {"argv0", with_p
                       ? format("{} has no flag P, so programs do not see the name that they are called by", own.name)
                       : format("the emulator of {} does not know flag P", own.name)};
}

bool loses_argv0(const Look& look) {
  return look.own != nullptr && has_p(*look.own) && look.proof.result == ProofResult::kRan && !look.proof.sees_argv0;
}

Fault fault_of(const Look& look) {
  if (look.own_unreadable) return {"changed", format("{} cannot be understood", look.wish.handler)};
  if (look.own == nullptr) {
    // What the kernel runs by itself needs no entry of ours.
    if (look.other == nullptr && look.proof.result == ProofResult::kRan) return {};
    return look.wish.wanted ? Fault{"missing", format("{} is not registered", look.wish.handler)} : Fault{};
  }
  if (!look.wish.wanted) return {};
  auto fault = fault_of(*look.own, *look.wish.wanted, look.with_p);
  if (fault.rule.empty() && look.with_p && loses_argv0(look)) {
    return {"argv0",
            format("{} has flag P, and a program does not see the name that it was called by", look.own->name)};
  }
  return fault;
}

bool is_allowed(const Look& look, std::string_view source) {
  return std::find(look.order.begin(), look.order.end(), source) != look.order.end();
}

// Where the entry comes from this time: the first of the order that can be had; with each failure the next one.
std::string source_of(const Look& look, int failures) {
  if (look.wish.handler.empty()) return "";  // nothing of it could be proven
  std::vector<std::string> usable;
  for (const auto& source : look.order) {
    if (source == "host" && look.wish.wanted) usable.push_back(source);
    if (source == "image" && look.seen.image_usable) usable.push_back(source);
  }
  return usable.empty() ? "" : usable[static_cast<std::size_t>(failures) % usable.size()];
}

void add_repair(EmulationPlan& plan, const Look& look, const Fault& fault, const std::string& source) {
  EmulationStep step{EmulationAction::kRegister, look.wish.platform, {}, fault.reason, fault.rule};
  if (source == "host" && (look.own != nullptr || look.own_unreadable)) {
    auto removal = step;
    removal.action = EmulationAction::kUnregister;
    removal.entry.name = look.wish.handler;
    plan.steps.push_back(std::move(removal));
  }
  if (source == "host") {
    step.entry = *look.wish.wanted;
    if (!look.with_p) std::erase(step.entry.flags, 'P');
  }
  if (source == "image") step.action = EmulationAction::kRunImage;
  plan.steps.push_back(std::move(step));
}

std::string why_no_source(const Look& look) {
  if (look.wish.handler.empty()) return look.wish.why_not;
  std::string why;
  if (is_allowed(look, "host")) why = look.wish.why_not;
  if (is_allowed(look, "image")) why += (why.empty() ? "" : "; ") + look.seen.image_trouble;
  return why.empty() ? "no source is configured" : why;
}

bool may_repair(const PlatformMemory& memory, Now now) {
  if (memory.not_before && now.boot < *memory.not_before) return false;
  return !memory.paid_until || *memory.paid_until - now.boot <= kPrice * (kAtOnce - 1);
}

Duration until_repair(const PlatformMemory& memory, Now now) {
  Duration left{0};
  if (memory.not_before) left = std::max(left, Duration(*memory.not_before - now.boot));
  if (memory.paid_until) left = std::max(left, Duration(*memory.paid_until - now.boot - kPrice * (kAtOnce - 1)));
  return left;
}

// What is wrong, and what is done about it.
void repair(EmulationPlan& plan, PlatformStatus& status, PlatformMemory& memory, const Look& look, const Fault& fault) {
  const auto now = look.now;
  if (!memory.lost_at) memory.lost_at = now.boot;
  const bool runs = look.proof.result == ProofResult::kRan;
  status.state = runs ? PlatformState::kProven : look.any() ? PlatformState::kBroken : PlatformState::kMissing;
  status.rule = runs ? "proven" : look.any() ? "broken" : "missing";
  status.reason = fault.reason;
  const auto source = source_of(look, memory.failures);
  if (source.empty()) {
    status.reason += format(": {}", why_no_source(look));
  } else if (!may_repair(memory, now)) {
    status.rule = "backing_off";
    const auto tried = memory.failures > 0 ? format("{} repairs in a row were in vain", memory.failures)
                                           : std::string("repairs did not last");
    status.reason += format("; {}, the next is in {}", tried, short_duration(until_repair(memory, now)));
  } else {
    add_repair(plan, look, fault, source);
    if (fault.rule == "argv0" && look.with_p) memory.p_tried = true;
  }
}

void judge_proven(PlatformStatus& status, PlatformMemory& memory, const Look& look) {
  status.state = look.any() ? PlatformState::kProven : PlatformState::kNative;
  status.rule = look.any() ? "proven" : "native";
  const auto* const by_path =
      look.proof.sees_argv0 ? "" : "; programs see their path as the name that they are called by";
  status.reason = look.any() ? format("a program of it ran in an empty folder ({}){}", look.proof.detail, by_path)
                             : format("the kernel runs it without any handler ({})", look.proof.detail);
  memory.lost_at.reset();
  memory.failures = 0;
  memory.not_before.reset();
}

void judge(EmulationPlan& plan, PlatformStatus& status, PlatformMemory& memory, const Look& look) {
  const auto fault = fault_of(look);
  switch (look.proof.result) {
    case ProofResult::kUnknown:
      status.state = PlatformState::kUnknown;
      status.rule = "control";
      status.reason = format("it could not be tried: {}; nothing is changed", look.proof.detail);
      return;
    case ProofResult::kNone:
      plan.prove = true;
      status.state = look.any() ? PlatformState::kRegistered : PlatformState::kMissing;
      status.rule = "not_proven";
      status.reason = "it was not tried since the handlers changed";
      return;
    case ProofResult::kRan:
      if (fault.rule.empty()) return judge_proven(status, memory, look);
      return repair(plan, status, memory, look, fault);
    case ProofResult::kFailed: break;
  }
  if (!fault.rule.empty()) return repair(plan, status, memory, look, fault);
  const auto* what = look.any() ? "its handler does not run a program of it" : "nothing runs a program of it";
  repair(plan, status, memory, look, {"not_running", format("{} ({})", what, look.proof.detail)});
}

PlatformStatus status_of(EmulationPlan& plan, Look look, Now now) {
  PlatformStatus status;
  status.platform = look.wish.platform;
  auto& memory = plan.memory.platforms[look.wish.platform];
  // A newer entry of another tool may have lost it: so not before ours was made once more.
  memory.without_p = memory.without_p || (memory.p_tried && loses_argv0(look));
  look.with_p = !memory.without_p && look.wish.wanted && has_p(*look.wish.wanted);
  const auto* shown = look.own != nullptr ? look.own : look.other;
  if (shown != nullptr) {
    status.handler = shown->name;
    status.flags = shown->flags;
    status.interpreter = shown->interpreter;
    status.ours = shown == look.own;
  }
  if (look.wish.native) {
    status.state = PlatformState::kNative;
    status.rule = "native";
    status.reason = "the host's own platform";
  } else if (!look.seen.trouble.empty()) {
    status.state = PlatformState::kMissing;
    status.rule = "not_mounted";
    status.reason = look.seen.trouble;
    if (!memory.lost_at) memory.lost_at = now.boot;
  } else {
    judge(plan, status, memory, look);
  }
  memory.state = status.state;
  if (look.proof.result == ProofResult::kRan && status.state == PlatformState::kProven) memory.proven_at = now.wall;
  status.proven_at = memory.proven_at;
  return status;
}

}  // namespace

std::string_view to_string(PlatformState state) {
  constexpr std::array<std::string_view, 7> kNames = {"native",  "proven", "registered", "broken",
                                                      "missing", "off",    "unknown"};
  return kNames.at(static_cast<std::size_t>(state));
}

std::string_view to_string(EmulationAction action) {
  constexpr std::array<std::string_view, 3> kNames = {"unregister", "register", "run_image"};
  return kNames.at(static_cast<std::size_t>(action));
}

EmulationPlan plan_emulation(const EmulationWish& wish, const ObservedEmulation& observed, EmulationMemory memory,
                             Now now) {
  EmulationPlan plan;
  plan.memory = std::move(memory);
  for (const auto& platform : wish.platforms) {
    plan.platforms.push_back(status_of(plan, look_at(platform, observed, wish.order, now), now));
  }
  std::erase_if(plan.memory.platforms, [&](const auto& known) {
    return std::none_of(wish.platforms.begin(), wish.platforms.end(),
                        [&](const auto& one) { return one.platform == known.first; });
  });
  return plan;
}

void note_repair(EmulationMemory& memory, const std::string& platform, bool worked, Now now) {
  auto& known = memory.platforms[platform];
  if (worked) {
    const auto from = known.paid_until && *known.paid_until > now.boot ? *known.paid_until : now.boot;
    known.paid_until = from + kPrice;
    return;
  }
  const auto pause = kFirstPause * (std::int64_t{1} << std::clamp(known.failures, 0, 10));
  ++known.failures;
  known.not_before = now.boot + std::min<Duration>(pause, kLongestPause);
}

std::string registration_of(const BinfmtEntry& entry) {
  const auto escaped = [](const std::string& bytes) {
    std::string out;
    for (const char c : bytes) out += format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    return out;
  };
  return format(":{}:M:{}:{}:{}:{}:{}", entry.name, entry.offset, escaped(entry.magic), escaped(entry.mask),
                entry.interpreter, entry.flags);
}

}  // namespace buildwarden::policy
