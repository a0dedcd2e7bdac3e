// Who a client is when places are counted.
#pragma once

#include <sys/types.h>

#include <boost/asio/ip/address.hpp>
#include <compare>
#include <string>

#include "daemon/ports/jobs.h"

namespace buildwarden::api {

// On the unix socket a uid, by SO_PEERCRED; on TCP an address, all of 127.0.0.0/8 and ::1 being one ("loopback"), and
// of IPv6 the network of 64 bits, which is what one host has.
struct PeerKey {
  std::string name;  // "uid 2000", "loopback", "10.0.0.5", "2001:db8::/64", "unknown"
  bool root = false;

  static PeerKey of(const ports::Peer& peer);  // "unknown" when it is not local
  static PeerKey of_uid(uid_t uid);
  static PeerKey of(const boost::asio::ip::address& address);

  friend auto operator<=>(const PeerKey&, const PeerKey&) = default;
};

}  // namespace buildwarden::api
