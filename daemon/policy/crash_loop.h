// A container that ends again and again before it ever answers; as the last step it gets a fresh volume. Pure.
#pragma once

#include <optional>
#include <string>

#include "daemon/policy/builder.h"

namespace buildwarden::policy {

// The memory with this look in it. Ends that somebody asked for (a stop, a kill, the engine's own end) do not count,
// nor does the end of a run that had answered, nor those before the container was first looked at; an answer, or an
// engine that went away, ends the row.
CrashMemory count_crashes(CrashMemory memory, const ObservedBuilder& observed, Now now);

struct CrashVerdict {
  std::optional<CrashMemory> change_to;  // make the container anew on this memory's volume
  std::string reason;                    // of the change, or how the loop stands; "" = there is no loop
};

// A loop is five ends within ten minutes, half a minute after the first at the earliest. Then a fresh volume, if the
// disk has room for it: what a builder keeps may be damaged, and nothing else of it outlives its container. When that
// does not help either, back to the volume that was left, for good: the cause is elsewhere.
CrashVerdict judge_crashes(const DesiredBuilder& desired, const ObservedBuilder& observed, const CrashMemory& memory,
                           Now now);

}  // namespace buildwarden::policy
