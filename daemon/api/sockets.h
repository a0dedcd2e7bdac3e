// The sockets that the API listens on, and who is on the other end of one.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/unique_fd.h"
#include "daemon/api/message.h"

namespace buildwarden::api {

// A file in the file system that a unix socket is bound to.
struct SocketFile {
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;

  // Removes it, unless another process has put its own there since.
  void remove() const;
};

struct UnixListener {
  UniqueFd descriptor;
  SocketFile file;
};

// Listens on `path`, mode 0660, group `group` (ours without it); never open to others in between. The parent folder is
// made. A socket that nobody listens on is replaced; kConflict: somebody does, or the path is no socket; kInvalid: the
// path is too long.
Result<UnixListener> listen_unix(const std::string& path, std::optional<gid_t> group);

// Gives a socket that somebody else bound at `path` the group and the mode 0660. An abstract one ("@name") has no file:
// nothing is done. kNotFound, kDenied.
Result<void> give_to_group(const std::string& path, gid_t group);

// Listens on "127.0.0.1:9847", "[::1]:9847" or "localhost:9847"; port 0 takes a free one. kInvalid: not that;
// kConflict: the port is taken.
Result<UniqueFd> listen_tcp(std::string_view address);

// The port that a TCP socket is bound to.
Result<std::uint16_t> port_of(int descriptor);

// By SO_PEERCRED and SO_PEERGROUPS; kIo where the kernel does not say.
Result<ports::Peer> peer_of(int descriptor);

// The address of the other end of a TCP connection; an IPv4 one that came in on IPv6 as IPv4. kIo: it is gone.
Result<boost::asio::ip::address> address_of(int descriptor);

}  // namespace buildwarden::api
