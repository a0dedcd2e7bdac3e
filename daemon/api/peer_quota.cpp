#include "daemon/api/peer_quota.h"

#include <algorithm>
#include <map>
#include <utility>

namespace buildwarden::api {

struct PeerQuota::State {
  explicit State(const QuotaLimits& given) : limits(given) {}

  QuotaLimits limits;
  std::size_t taken = 0;
  std::size_t by_root = 0;
  std::map<PeerKey, std::size_t> each = {};  // those that have any

  [[nodiscard]] std::size_t of(const PeerKey& who) const {
    const auto found = each.find(who);
    return found == each.end() ? 0 : found->second;
  }
  [[nodiscard]] bool is_full(const PeerKey& who) const {
    const auto for_others = limits.places - std::min(limits.reserved, limits.places);
    return taken >= limits.places || (!who.root && taken - by_root >= for_others);
  }
};

void PeerQuota::Place::give_back() {
  const auto state = std::move(state_);
  if (!state) return;
  const auto found = state->each.find(who_);
  if (--found->second == 0) state->each.erase(found);
  --state->taken;
  if (who_.root) --state->by_root;
}

PeerQuota::PeerQuota(const QuotaLimits& limits) : state_(std::make_shared<State>(limits)) {}

std::optional<PeerQuota::Place> PeerQuota::take(const PeerKey& who) {
  if (in_the_way_of(who)) return std::nullopt;
  ++state_->each[who];
  ++state_->taken;
  if (who.root) ++state_->by_root;
  return Place(state_, who);
}

std::optional<PeerKey> PeerQuota::in_the_way_of(const PeerKey& who) const {
  if (!who.root && state_->of(who) >= state_->limits.each) return who;
  if (!state_->is_full(who)) return std::nullopt;
  const auto has_fewer = [](const auto& one, const auto& other) {
    if (one.first.root != other.first.root) return one.first.root;
    return one.second < other.second;
  };
  const auto most = std::max_element(state_->each.begin(), state_->each.end(), has_fewer);
  return most == state_->each.end() ? who : most->first;
}

std::size_t PeerQuota::taken() const { return state_->taken; }

}  // namespace buildwarden::api
