// Places for clients, shared so that no peer takes what another one needs (issue 14).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "daemon/api/peer_key.h"

namespace buildwarden::api {

struct QuotaLimits {
  std::size_t places = 0;    // in all
  std::size_t each = 0;      // of one peer; root alone may have them all
  std::size_t reserved = 0;  // of `places`, for root alone
};

// For the loop's thread alone.
class PeerQuota {
  struct State;

 public:
  // A place that is held; it may outlive the quota.
  class Place {
   public:
    Place(std::shared_ptr<State> state, PeerKey who) : state_(std::move(state)), who_(std::move(who)) {}
    Place(Place&& other) noexcept = default;
    Place& operator=(Place&& other) noexcept {
      give_back();
      state_ = std::move(other.state_);
      who_ = std::move(other.who_);
      return *this;
    }
    ~Place() { give_back(); }

   private:
    void give_back();

    std::shared_ptr<State> state_;  // null: moved from
    PeerKey who_;
  };

  explicit PeerQuota(const QuotaLimits& limits);

  // Nothing when the peer has its share, or when what is left is root's.
  [[nodiscard]] std::optional<Place> take(const PeerKey& who);

  // Who has to give up a place before `who` can take one: `who` itself when it has its share; else, when all places
  // that it could take are taken, the peer with the most, root only when nobody else has any. Nothing: take() would
  // succeed.
  [[nodiscard]] std::optional<PeerKey> in_the_way_of(const PeerKey& who) const;

  [[nodiscard]] std::size_t taken() const;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace buildwarden::api
