#include "daemon/cli/unix_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "common/format.h"
#include "common/unique_fd.h"

namespace buildwarden::cli {
namespace {

constexpr Duration kDeadline = std::chrono::seconds{5};
constexpr std::string_view kOnlyRoot = "only root can look as ";  // how account.cpp says it

// RFC 9113, 3.4: the connection preface, then an empty SETTINGS frame.
constexpr std::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
constexpr std::size_t kFrameHeader = 9;
constexpr std::size_t kTypeAt = 3;
constexpr char kSettingsFrame = 4;

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error(Errc::kInvalid, format("{} is too long a path", path));
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.open()) return Error::from_errno(errno, "make a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error::from_errno(errno, format("connect to {}", path));
  }
  return socket;
}

// The first frame of a server is SETTINGS. The deadline is that of the process.
Result<void> exchange_prefaces(int socket) {
  if (::send(socket, kPreface.data(), kPreface.size(), MSG_NOSIGNAL) < 0) {
    return Error::from_errno(errno, "send the HTTP/2 preface");
  }
  std::array<char, kFrameHeader> frame{};
  const auto count = ::recv(socket, frame.data(), frame.size(), MSG_WAITALL);
  if (count < 0) return Error::from_errno(errno, "read the HTTP/2 settings");
  if (count != static_cast<ssize_t>(frame.size()) || frame[kTypeAt] != kSettingsFrame) {
    return Error(Errc::kProtocol, "what listens there does not speak HTTP/2");
  }
  return {};
}

Result<void> without_text(Result<std::string> answer) {
  if (!answer) return std::move(answer).error();
  return {};
}

}  // namespace

Result<void> opens_as(const Account& account, const std::string& path) {
  const auto work = [&path]() -> Result<std::string> {
    const auto socket = connect_to(path);
    if (!socket) return socket.error();
    return std::string();
  };
  return without_text(run_as(account, work, kDeadline));
}

Result<void> speaks_http2_as(const Account& account, const std::string& path) {
  const auto work = [&path]() -> Result<std::string> {
    const auto socket = connect_to(path);
    if (!socket) return socket.error();
    if (auto spoke = exchange_prefaces(socket->get()); !spoke) return std::move(spoke).error();
    return std::string();
  };
  return without_text(run_as(account, work, kDeadline));
}

bool is_not_ours_to_try(const Error& error) {
  return error.code() == Errc::kDenied && error.message().starts_with(kOnlyRoot);
}

}  // namespace buildwarden::cli
