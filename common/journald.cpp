#include "common/journald.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/format.h"

namespace buildwarden {
namespace {

// A value with an end of line in it: its length in 64 bits, the lowest byte first, stands before it.
void append_long(std::string& datagram, std::string_view value) {
  datagram += '\n';
  const std::uint64_t length = value.size();
  for (unsigned shift = 0; shift < 64; shift += 8) datagram += static_cast<char>((length >> shift) & 0xffU);
  datagram += value;
}

}  // namespace

std::string journal_datagram(const JournalFields& fields) {
  std::string datagram;
  for (const auto& [name, value] : fields) {
    datagram += name;
    if (value.find('\n') != std::string::npos) {
      append_long(datagram, value);
    } else {
      datagram += '=';
      datagram += value;
    }
    datagram += '\n';
  }
  return datagram;
}

JournaldSocket::JournaldSocket(std::string path)
    : path_(std::move(path)), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}

bool JournaldSocket::send(const JournalFields& fields) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size() + 1);
  const auto datagram = journal_datagram(fields);
  const auto sent =
      ::sendto(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&address), length);  // NOLINT: the sockets API's own cast
  return sent == static_cast<ssize_t>(datagram.size());
}

bool is_journal_stream(int descriptor, std::string_view journal_stream) {
  struct stat info{};
  return !journal_stream.empty() && ::fstat(descriptor, &info) == 0 &&
         journal_stream == format("{}:{}", static_cast<std::uint64_t>(info.st_dev), info.st_ino);
}

}  // namespace buildwarden
