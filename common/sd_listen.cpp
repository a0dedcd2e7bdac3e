#include "common/sd_listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "common/result.h"

namespace buildwarden {
namespace {

constexpr int kMostSockets = 64;

// Its value, gone from the environment.
std::string take_variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before the first thread
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text;
}

std::optional<int> as_number(std::string_view text) {
  int number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::string unix_address(const sockaddr_storage& storage, socklen_t length) {
  sockaddr_un address{};
  std::memcpy(&address, &storage, sizeof(address));
  if (length <= offsetof(sockaddr_un, sun_path)) return "a unix socket without a name";
  std::string path(address.sun_path, length - offsetof(sockaddr_un, sun_path));
  if (path.front() == '\0') return "@" + path.substr(1);
  return path.substr(0, path.find('\0'));
}

std::string tcp_address(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    sockaddr_in address{};
    std::memcpy(&address, &storage, sizeof(address));
    ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
    return format("{}:{}", text.data(), ntohs(address.sin_port));
  }
  sockaddr_in6 address{};
  std::memcpy(&address, &storage, sizeof(address));
  ::inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
  return format("[{}]:{}", text.data(), ntohs(address.sin6_port));
}

bool listens(int descriptor) {
  int answer = 0;
  socklen_t length = sizeof(answer);
  return ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &answer, &length) == 0 && answer != 0;
}

// kInvalid: no listening stream socket of the unix or the TCP kind.
Result<PassedSocket> look_at(UniqueFd descriptor) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  const int number = descriptor.get();
  if (::getsockname(number, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {  // NOLINT: the API's own cast
    return Error::from_errno(errno, "ask for its address");
  }
  const bool is_unix = storage.ss_family == AF_UNIX;
  if (!is_unix && storage.ss_family != AF_INET && storage.ss_family != AF_INET6) {
    return Error(Errc::kInvalid, "neither a unix nor a TCP socket");
  }
  if (!listens(number)) return Error(Errc::kInvalid, "no listening socket (Accept=yes is not supported)");
  if (::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) return Error::from_errno(errno, "set close-on-exec");
  PassedSocket socket;
  socket.descriptor = std::move(descriptor);
  socket.is_unix = is_unix;
  socket.address = is_unix ? unix_address(storage, length) : tcp_address(storage);
  return socket;
}

std::string take_name(std::string_view& names) {
  const auto end = std::min(names.find(':'), names.size());
  std::string name(names.substr(0, end));
  names.remove_prefix(std::min(end + 1, names.size()));
  return name;
}

}  // namespace

PassedSockets take_passed_sockets(int first) {
  const auto pid = as_number(take_variable("LISTEN_PID"));
  const auto count = as_number(take_variable("LISTEN_FDS"));
  const auto all_names = take_variable("LISTEN_FDNAMES");
  PassedSockets passed;
  if (!pid || *pid != ::getpid() || !count || *count > kMostSockets) return passed;
  std::string_view names = all_names;
  for (int number = first; number < first + *count; ++number) {
    auto name = take_name(names);
    auto socket = look_at(UniqueFd(number));
    if (socket) {
      socket->name = std::move(name);
      passed.sockets.push_back(*std::move(socket));
    } else {
      passed.refused.push_back(
          format("the passed descriptor {} ({}) is not used: {}", number, name, socket.error().message()));
    }
  }
  return passed;
}

}  // namespace buildwarden
