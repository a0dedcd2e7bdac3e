#include "daemon/api/sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::api {
namespace {

// As many as the kernel lets wait (net.core.somaxconn): in a crowd a full queue costs others a second for each SYN.
constexpr int kBacklog = SOMAXCONN;

template <class Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

template <class Address>
sockaddr* generic(Address& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

Result<UniqueFd> open_socket(int family) {
  UniqueFd made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.get() < 0) return Error::from_errno(errno, "open a socket");
  return made;
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Error(Errc::kInvalid, format("the socket path {} has {} bytes, from 1 to {} are possible", path, path.size(),
                                        sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Makes way at `path`: a socket that nobody listens on is a leftover.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Result<void>() : Error::from_errno(errno, format("look at {}", path));
  }
  if (!S_ISSOCK(info.st_mode)) return Error(Errc::kConflict, format("{} is there and is no socket", path));
  auto probe = open_socket(AF_UNIX);
  if (!probe) return std::move(probe).error();
  const bool answered = ::connect(probe->get(), generic(address), sizeof(address)) == 0;
  if (answered || errno == EAGAIN) return Error(Errc::kConflict, format("another process listens on {}", path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Error::from_errno(errno, format("remove {}", path));
  return {};
}

// The file is made with the mode that the descriptor has, so it is ours alone until its group is set.
Result<SocketFile> bind_file(int descriptor, const std::string& path, const sockaddr_un& address,
                             std::optional<gid_t> group) {
  if (::fchmod(descriptor, 0600) != 0) return Error::from_errno(errno, "set the socket's mode");
  if (::bind(descriptor, generic(address), sizeof(address)) != 0) {
    return Error::from_errno(errno, format("bind {}", path));
  }
  if (group && ::lchown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) {
    return Error::from_errno(errno, format("give {} to the group {}", path, *group));
  }
  struct stat info{};
  if (::chmod(path.c_str(), 0660) != 0 || ::lstat(path.c_str(), &info) != 0) {
    return Error::from_errno(errno, format("open {} to its group", path));
  }
  return SocketFile{path, info.st_dev, info.st_ino};
}

// "127.0.0.1:9847" as an endpoint.
Result<boost::asio::ip::tcp::endpoint> parse_address(std::string_view text) {
  const auto wrong = [&] {
    return Error(Errc::kInvalid,
                 format("\"{}\" is no address to listen on: write 127.0.0.1:9847, [::1]:9847 or localhost:9847", text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong();
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find(':') != std::string_view::npos) return wrong();
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.begin(), digits.end(), port);
  if (failed != std::errc() || end != digits.end() || digits.empty()) return wrong();
  boost::system::error_code not_ip;
  const auto address =
      boost::asio::ip::make_address(equals_ignoring_case(host, "localhost") ? "127.0.0.1" : host, not_ip);
  if (not_ip || address.is_v6() != bracketed) return wrong();
  return boost::asio::ip::tcp::endpoint(address, port);
}

}  // namespace

void SocketFile::remove() const {
  struct stat info{};
  if (path.empty() || ::lstat(path.c_str(), &info) != 0) return;
  if (info.st_dev == device && info.st_ino == inode) ::unlink(path.c_str());
}

Result<UnixListener> listen_unix(const std::string& path, std::optional<gid_t> group) {
  const auto address = unix_address(path);
  if (!address) return address.error();
  const auto slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    auto made = make_folders(path.substr(0, slash));
    if (!made) return std::move(made).error();
  }
  auto cleared = remove_stale(path, *address);
  if (!cleared) return std::move(cleared).error();
  auto made = open_socket(AF_UNIX);
  if (!made) return std::move(made).error();
  auto file = bind_file(made->get(), path, *address, group);
  if (!file) return std::move(file).error();
  if (::listen(made->get(), kBacklog) != 0) return Error::from_errno(errno, format("listen on {}", path));
  return UnixListener{*std::move(made), *std::move(file)};
}

Result<void> give_to_group(const std::string& path, gid_t group) {
  if (!path.starts_with('/')) return {};
  if (::lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0 || ::chmod(path.c_str(), 0660) != 0) {
    return Error::from_errno(errno, format("give {} to the group {}", path, group));
  }
  return {};
}

Result<UniqueFd> listen_tcp(std::string_view address) {
  const auto endpoint = parse_address(address);
  if (!endpoint) return endpoint.error();
  auto made = open_socket(endpoint->protocol().family());
  if (!made) return made;
  const int yes = 1;
  const int descriptor = made->get();
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const bool bound = ::bind(descriptor, endpoint->data(), static_cast<socklen_t>(endpoint->size())) == 0;
  if (bound && ::listen(descriptor, kBacklog) == 0) return made;
  const auto doing = format("listen on {}", address);
  if (errno == EADDRINUSE) return Error(Errc::kConflict, doing + ": the port is taken");
  return Error::from_errno(errno, doing);
}

Result<std::uint16_t> port_of(int descriptor) {
  boost::asio::ip::tcp::endpoint endpoint;
  auto length = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(descriptor, endpoint.data(), &length) != 0) return Error::from_errno(errno, "ask for the port");
  endpoint.resize(length);
  return endpoint.port();
}

}  // namespace buildwarden::api
