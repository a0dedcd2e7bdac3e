#include "daemon/api/peer_key.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::api {

PeerKey PeerKey::of(const ports::Peer& peer) { return peer.local ? of_uid(peer.uid) : PeerKey{"unknown"}; }

PeerKey PeerKey::of_uid(uid_t uid) { return {format("uid {}", uid), uid == 0}; }

PeerKey PeerKey::of(const boost::asio::ip::address& address) {
  if (address.is_loopback()) return {"loopback"};
  if (address.is_v4()) return {address.to_string()};
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return {boost::asio::ip::address_v6(bytes).to_string() + "/64"};
}

}  // namespace buildwarden::api
