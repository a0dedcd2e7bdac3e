#include "daemon/policy/ladder.h"

#include <algorithm>
#include <chrono>

namespace buildwarden::policy {
namespace {

// A builder that a job made may be idle for hours before its next build.
constexpr Duration kOrphanAge = std::chrono::hours{4};

bool is_critical(Level level) { return level == Level::kCritical || level == Level::kExhausted; }

RungTurn turn(const LadderRequest& request, RungId rung, int pass) {
  const auto age = pass == 1 ? std::max(request.keep_used_within, request.grace) : request.grace;
  RungTurn result{.rung = rung, .pass = pass, .age = age};
  // Bounded by its share and not by the age: what is older has already gone with rung 4.
  if (rung == RungId::kBuildCacheShare) result.age = request.grace;
  if (rung == RungId::kOrphans) result.age = std::max(kOrphanAge, age);
  result.engine_cache = request.builder_prune || is_critical(request.level);
  return result;
}

// The rungs of both passes, in their order.
std::vector<RungId> rungs_between(bool by_value) {
  using enum RungId;
  if (by_value) return {kUnused, kOrphans};
  return {kBuildCache, kImages, kBuildCacheShare, kOrphans};
}

}  // namespace

std::vector<RungTurn> climb(const LadderRequest& request) {
  using enum RungId;
  if (request.level == Level::kUnknown) return {};
  std::vector<RungTurn> turns;
  const auto others = request.only_gentle ? std::vector<RungId>{} : rungs_between(request.by_value);
  for (const auto rung : {kLeftovers, kContainers}) turns.push_back(turn(request, rung, 1));
  if (!request.only_gentle) turns.push_back(turn(request, kAnonymousVolumes, 1));
  turns.push_back(turn(request, kDanglingImages, 1));
  for (const auto rung : others) turns.push_back(turn(request, rung, 1));
  if (!is_critical(request.level)) return turns;
  // No second pass over anonymous volumes: what is in them cannot be made again.
  for (const auto rung : {kContainers, kDanglingImages}) turns.push_back(turn(request, rung, 2));
  for (const auto rung : others) turns.push_back(turn(request, rung, 2));
  if (request.only_gentle) return turns;
  if (request.purge_builds) turns.push_back(turn(request, kCheckouts, 2));
  // After checkouts: one that is left keeps the mirror that it reads objects of.
  if (request.purge_mirrors) turns.push_back(turn(request, kGitMirrors, 2));
  turns.push_back(turn(request, kLastResort, 2));
  turns.back().terminate = request.terminate_instance;
  return turns;
}

bool reached(const Goal& goal, const Reading& reading) {
  if (reading.free < goal.free) return false;
  return reading.total_inodes == 0 || reading.free_inodes >= goal.free_inodes;
}

}  // namespace buildwarden::policy
