// What the daemon asks of the seeds' own process, and what that answers. Both ends of one pipe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/units.h"
#include "daemon/policy/seed.h"
#include "daemon/seeds/place.h"

namespace buildwarden::seeds {

enum class Task : std::uint8_t {
  kLook,     // the manifest that lies there
  kMeasure,  // what a save would come to; nothing is written
  kSave,     // writes the parts; the answer has the manifest, which is not published yet
  kPublish,  // `manifest`, which kSave gave; then removes what is old
  kRestore,  // what `manifest` names, into the empty volume
  kClean,    // what a restore left that was killed
  kDiscard,  // the parts of a save that was given up
};

// Those that may change what lies at the location.
constexpr bool writes_location(Task task) {
  return task == Task::kSave || task == Task::kPublish || task == Task::kDiscard;
}

struct Order {
  Task task = Task::kLook;
  Place place;
  std::string volume;             // the folder that has the volume's `_data`
  std::string stem;               // kSave, kDiscard: what the names of its parts begin with (new_stem())
  Bytes most = 0;                 // kSave: of what is packed
  Duration patience{0};           // kSave: from when its process has read this; 0: no limit
  policy::SeedManifest manifest;  // kSave: without what only the archives tell
};

struct Answer {
  std::optional<policy::SeedManifest> manifest;
  Bytes bytes = 0;  // of content that was measured, packed or unpacked
  std::int64_t entries = 0;
};

struct Advance {
  Bytes done = 0;
  Bytes of = 0;  // 0: not known
};

// An order is written into a pipe before anybody reads it (common/subprocess.h).
inline constexpr Bytes kLongestOrder = 48 * kKiB;

// The text of an order, as its process reads it from its standard input.
std::string encode_order(const Order& order);
Result<Order> decode_order(std::string_view text);

// The last line of what the process writes; an Error is handed on with its code.
std::string encode_answer(const Result<Answer>& answer);
// kProtocol: it ended without one.
Result<Answer> decode_answer(std::string_view output);

// A line in between: "progress 12 34".
std::string encode_advance(const Advance& advance);
// The latest of some lines, or parts of them.
std::optional<Advance> last_advance(std::string_view lines);

}  // namespace buildwarden::seeds
