// What evictors of the engine's objects have in common.
#pragma once

#include <string>

#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/last_use.h"

namespace buildwarden::disk {

// The engine that a plan is made on. kUnavailable: it is down; known_engine(): or the ledger does not know it yet.
Result<ports::EngineIdentity> running_engine(const ports::EngineState& engine);
Result<ports::EngineIdentity> known_engine(const ports::EngineState& engine, const ports::LastUses& ledger);

// Why a plan that was made on `planned_on` is void by now; "" when it is not.
std::string engine_changed(const ports::EngineStatus& status, const ports::EngineIdentity& planned_on);

// What the engine's answer to a deletion means for a candidate: "" deleted, else why it was left alone (in use, not to
// be deleted, gone); other errors stay errors.
Result<std::string> dropped_by_engine(const Result<void>& removed);

// The same as what an evictor answers.
Result<ports::EvictionResult> evicted_or_dropped(const Result<void>& removed, Bytes reported);
ports::EvictionResult dropped(std::string why);

}  // namespace buildwarden::disk
