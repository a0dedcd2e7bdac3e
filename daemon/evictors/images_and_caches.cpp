#include "daemon/evictors/images_and_caches.h"

#include <iterator>
#include <utility>

namespace buildwarden::disk {
namespace {

using policy::RungId;

void name_rungs(std::vector<policy::Candidate>& caches) {
  for (auto& one : caches) one.rung = one.is_over_share ? RungId::kBuildCacheShare : RungId::kBuildCache;
}

policy::RungTurn turn_of(policy::RungTurn turn, RungId rung) {
  turn.rung = rung;
  turn.down_to_share = rung == RungId::kBuildCache;
  return turn;
}

}  // namespace

ports::Async<std::vector<policy::Candidate>> ImagesAndCaches::list(const policy::RungTurn& turn) {
  return list_both(turn);
}

ports::Async<std::vector<policy::Candidate>> ImagesAndCaches::list_both(policy::RungTurn turn) {
  lacking_.reset();
  const auto of_caches = turn_of(turn, RungId::kBuildCache);
  auto caches = co_await parts_.caches.list(of_caches);
  const auto device = parts_.device_of_images();
  if (device.empty()) {
    if (caches) name_rungs(*caches);
    co_return caches;
  }
  const auto of_images = turn_of(std::move(turn), RungId::kImages);
  auto images = co_await parts_.images.list(of_images);
  if (!caches && !images) co_return std::move(images).error();
  if (!caches) lacking_ = Lack{RungId::kBuildCache, caches.error()};
  if (!images) lacking_ = Lack{RungId::kImages, images.error()};
  std::vector<policy::Candidate> all;
  if (caches) all = *std::move(caches);
  name_rungs(all);
  if (!images) co_return all;
  for (auto& candidate : *images) {
    candidate.rung = RungId::kImages;
    candidate.device = device;
  }
  std::move(images->begin(), images->end(), std::back_inserter(all));
  co_return all;
}

ports::Async<ports::EvictionResult> ImagesAndCaches::evict(const policy::Candidate& candidate,
                                                           const policy::RungTurn& turn) {
  if (candidate.rung == RungId::kImages) {
    return parts_.images.evict(candidate, turn_of(turn, RungId::kImages));
  }
  return parts_.caches.evict(candidate, turn_of(turn, RungId::kBuildCache));
}

void ImagesAndCaches::forget_list() {
  parts_.images.forget_list();
  parts_.caches.forget_list();
}

}  // namespace buildwarden::disk
