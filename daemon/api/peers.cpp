#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <vector>

#include "daemon/api/sockets.h"

namespace buildwarden::api {
namespace {

// The groups beside the primary one.
Result<std::vector<gid_t>> further_groups(int descriptor) {
  std::vector<gid_t> groups(32);
  for (;;) {
    auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int got = ::getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
    if (got != 0 && errno != ERANGE) return Error::from_errno(errno, "ask for the peer's groups");
    groups.resize(length / sizeof(gid_t));
    if (got == 0) return groups;
  }
}

}  // namespace

Result<ports::Peer> peer_of(int descriptor) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return Error::from_errno(errno, "ask who the peer is");
  }
  auto further = further_groups(descriptor);
  if (!further) return std::move(further).error();
  ports::Peer peer;
  peer.local = true;
  peer.uid = credentials.uid;
  peer.pid = credentials.pid;
  peer.groups.push_back(credentials.gid);
  peer.groups.insert(peer.groups.end(), further->begin(), further->end());
  return peer;
}

Result<boost::asio::ip::address> address_of(int descriptor) {
  namespace ip = boost::asio::ip;
  ip::tcp::endpoint endpoint;
  auto length = static_cast<socklen_t>(endpoint.capacity());
  if (::getpeername(descriptor, endpoint.data(), &length) != 0) {
    return Error::from_errno(errno, "ask for the peer's address");
  }
  endpoint.resize(length);
  const auto address = endpoint.address();
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return ip::address(ip::make_address_v4(ip::v4_mapped, address.to_v6()));
}

}  // namespace buildwarden::api
