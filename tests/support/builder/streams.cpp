#include "streams.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace test_builder {
namespace {

constexpr int kBacklog = 128;
constexpr std::size_t kChunk = std::size_t{64} * 1024;
constexpr mode_t kSocketMode = 0660;

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

Descriptor stream_socket() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    fail("socket");
  }
  return Descriptor(fd);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw std::runtime_error("socket path is too long: " + path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

void copy(int from, int to) {
  std::string buffer;
  while (read_some(from, buffer) && write_all(to, buffer)) {
    buffer.clear();
  }
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor::~Descriptor() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

Descriptor dial(const std::string& path) {
  Descriptor fd = stream_socket();
  const sockaddr_un address = address_of(path);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail("dial unix " + path);
  }
  return fd;
}

Descriptor serve(const std::string& path, int group) {
  Descriptor fd = stream_socket();
  const sockaddr_un address = address_of(path);
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail("bind " + path);
  }
  if (group >= 0 && chown(path.c_str(), 0, static_cast<gid_t>(group)) != 0) {
    fail("chown " + path);
  }
  if (chmod(path.c_str(), kSocketMode) != 0 || listen(fd.get(), kBacklog) != 0) {
    fail("serve " + path);
  }
  return fd;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool read_some(int fd, std::string& buffer) {
  std::array<char, kChunk> chunk;
  ssize_t got = -1;
  do {
    got = read(fd, chunk.data(), chunk.size());
  } while (got < 0 && errno == EINTR);
  if (got <= 0) {
    return false;
  }
  buffer.append(chunk.data(), static_cast<std::size_t>(got));
  return true;
}

void join(int in, int out, int socket) {
  // A thread for each way: with one for both, a peer that does not read would stop the other way too.
  std::thread upstream([in, socket] {
    copy(in, socket);
    shutdown(socket, SHUT_WR);
  });
  copy(socket, out);
  shutdown(socket, SHUT_RDWR);
  shutdown(in, SHUT_RDWR);  // wakes the thread when `in` is a socket; a pipe's end comes with its writer's
  if (in == STDIN_FILENO) {
    upstream.detach();
    return;
  }
  upstream.join();
}

}  // namespace test_builder
