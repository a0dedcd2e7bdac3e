#include "daemon/evictors/eviction_result.h"

#include <utility>

#include "common/format.h"

namespace buildwarden::disk {

Result<ports::EngineIdentity> running_engine(const ports::EngineState& engine) {
  const auto status = engine.status();
  if (!status.up) return Error(Errc::kUnavailable, format("the engine is down: {}", status.reason));
  return status.identity;
}

Result<ports::EngineIdentity> known_engine(const ports::EngineState& engine, const ports::LastUses& ledger) {
  auto running = running_engine(engine);
  if (running && !ledger.knows(*running)) {
    return Error(Errc::kUnavailable, "the ledger of last use does not know this engine yet");
  }
  return running;
}

std::string engine_changed(const ports::EngineStatus& status, const ports::EngineIdentity& planned_on) {
  if (!status.up) return format("the engine went down: {}", status.reason);
  if (status.identity.id == planned_on.id && status.identity.root_dir == planned_on.root_dir) return "";
  return format("another engine answers now: {} at {}", status.identity.id, status.identity.root_dir);
}

Result<std::string> dropped_by_engine(const Result<void>& removed) {
  if (removed) return std::string();
  const auto code = removed.error().code();
  if (code == Errc::kConflict) return format("the engine says it is in use: {}", removed.error().message());
  if (code == Errc::kDenied) return format("the engine refuses: {}", removed.error().message());
  if (code == Errc::kNotFound) return format("already gone: {}", removed.error().message());
  return removed.error();
}

Result<ports::EvictionResult> evicted_or_dropped(const Result<void>& removed, Bytes reported) {
  auto why = dropped_by_engine(removed);
  if (!why) return std::move(why).error();
  if (!why->empty()) return dropped(*std::move(why));
  ports::EvictionResult taken;
  taken.reported = reported;
  return taken;
}

ports::EvictionResult dropped(std::string why) {
  ports::EvictionResult taken;
  taken.dropped = std::move(why);
  return taken;
}

}  // namespace buildwarden::disk
