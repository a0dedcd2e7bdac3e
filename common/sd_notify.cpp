#include "common/sd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "common/format.h"

namespace buildwarden {
namespace {

constexpr std::int64_t kMicroseconds = 1'000'000;

// Nothing where it is not set or no number.
std::optional<std::int64_t> number_of(const char* variable) {
  const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): set once, before we start
  if (value == nullptr) return std::nullopt;
  const std::string_view text(value);
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<void> sd_notify(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): set once, before we start
  if (path == nullptr || *path == '\0') return {};
  const std::string_view name(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof(address.sun_path)) return Error(Errc::kInvalid, "NOTIFY_SOCKET is too long");
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const int socket_fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return Error::from_errno(errno, "notify systemd");
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const auto sent =
      ::sendto(socket_fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
               length);  // NOLINT: the sockets API's own cast
  const int error_number = errno;
  ::close(socket_fd);
  if (sent < 0) return Error::from_errno(error_number, "notify systemd");
  return {};
}

std::string reloading_state() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * kMicroseconds + now.tv_nsec / 1000);
}

std::optional<Duration> watchdog_limit() {
  const auto pid = number_of("WATCHDOG_PID");
  const auto limit = number_of("WATCHDOG_USEC");
  if (!limit || *limit <= 0 || (pid && *pid != ::getpid())) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::microseconds{*limit});
}

}  // namespace buildwarden
