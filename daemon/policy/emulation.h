// What has to be done so that foreign programs run: wanted, observed, proofs, memory, now → steps. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"

namespace buildwarden::policy {

// One entry of binfmt_misc, as the kernel shows it.
struct BinfmtEntry {
  std::string name;
  bool enabled = false;
  std::string interpreter;
  std::string flags;  // in the kernel's order: "POCF"
  int offset = 0;
  std::string magic;  // bytes; empty for one that goes by a file's extension
  std::string mask;   // bytes; as long as the magic
  friend bool operator==(const BinfmtEntry&, const BinfmtEntry&) = default;
};

enum class PlatformState : std::uint8_t { kNative, kProven, kRegistered, kBroken, kMissing, kOff, kUnknown };
// "native", "proven", "registered", "broken", "missing", "off", "unknown".
std::string_view to_string(PlatformState state);

// What executing a platform's program told.
enum class ProofResult : std::uint8_t {
  kNone,     // it was not executed since the last change
  kRan,      // with the exit code that only that program gives
  kFailed,   // anything else
  kUnknown,  // the native control program failed the same way, or the launcher did: it says nothing
};

struct Proof {
  ProofResult result = ProofResult::kNone;
  std::string detail;      // "exit 137", "signal 11", "Exec format error"
  bool sees_argv0 = true;  // of one that ran: it saw the argv[0] that it was called by, and not its path
};

struct DesiredPlatform {
  std::string platform;               // "linux/arm64"
  std::string handler;                // our entry's name: "buildwarden-aarch64"; "" = no such platform is known
  bool native = false;                // of the host itself: nothing is needed
  std::optional<BinfmtEntry> wanted;  // our entry from the host's QEMU; nothing: the host has none that is fit
  std::string why_not;                // that there is none, one sentence
  std::string magic;                  // by which other tools' entries for it are known
  std::string mask;
};

struct ObservedEmulation {
  std::string trouble;                  // why binfmt_misc cannot be used; "" = it is mounted and was read
  std::vector<BinfmtEntry> entries;     // all of them, whose ever
  std::vector<std::string> broken;      // names of those that could not be read
  std::map<std::string, Proof> proofs;  // by platform
  bool image_usable = false;            // the engine is up and an image is configured
  std::string image_trouble;            // why not
};

struct PlatformMemory {
  PlatformState state = PlatformState::kUnknown;
  int failures = 0;                      // of repairs, in a row
  std::optional<BootTime> not_before;    // the next repair
  std::optional<BootTime> lost_at;       // when the loss was seen; nothing while it is proven
  std::optional<WallTime> proven_at;     // last executed well
  std::optional<BootTime> paid_until{};  // paces repairs that succeed and do not last: 8 at once, then one a minute
  bool p_tried = false;    // an entry was made only so that argv[0] is seen, with flag P and as the newest
  bool without_p = false;  // and argv[0] was not seen after that: its emulator does not know the flag
};

struct EmulationMemory {
  std::map<std::string, PlatformMemory> platforms;
};

enum class EmulationAction : std::uint8_t { kUnregister, kRegister, kRunImage };
std::string_view to_string(EmulationAction action);

struct EmulationStep {
  EmulationAction action;
  std::string platform;
  BinfmtEntry entry;   // kRegister: what to write; kUnregister: only its name
  std::string reason;  // one sentence
  std::string rule;    // "missing", "disabled", "changed", "not_fixed", "argv0", "not_running"
};

struct PlatformStatus {
  std::string platform;
  PlatformState state = PlatformState::kUnknown;
  std::string handler;  // the entry that is ours, or else another tool's; "" = none
  std::string flags;
  std::string interpreter;
  bool ours = false;
  std::optional<WallTime> proven_at;
  std::string reason;  // one sentence
  std::string rule;    // "native", "proven", "not_proven", "not_mounted", "control", "broken", "missing", "backing_off"
};

struct EmulationPlan {
  std::vector<EmulationStep> steps;  // in order; a kRegister is left out when the kUnregister before it failed
  std::vector<PlatformStatus> platforms;
  bool prove = false;  // some platform must be executed before anything can be said of it
  EmulationMemory memory;
};

struct EmulationWish {
  std::vector<DesiredPlatform> platforms;
  std::vector<std::string> order = {"host", "image"};
};

// One look. Only entries under our own names are ever unregistered; without a proof that says something, nothing is
// changed that executes. An entry of ours that is not as wanted is made anew; one that is and does not run, too, for
// the newest entry is matched first. Flag P (binfmt_misc.rst: argv[0] is preserved) is wanted as long as the emulator
// hands argv[0] on: one that does not know it (QEMU before 6.0, Linux before 5.12) takes it for an argument. What the
// kernel runs without any entry needs none.
EmulationPlan plan_emulation(const EmulationWish& wish, const ObservedEmulation& observed, EmulationMemory memory,
                             Now now);

// Of the repair of `platform` that was tried: the pause before the next doubles from 30 s to 10 min.
void note_repair(EmulationMemory& memory, const std::string& platform, bool worked, Now now);

// The entry in the form that the kernel's `register` takes: ":name:M:0:magic:mask:interpreter:flags".
std::string registration_of(const BinfmtEntry& entry);

}  // namespace buildwarden::policy
