// streams.h - bytes between descriptors: unix sockets dialled and served, whole writes, two ends joined.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace test_builder {

/// An open descriptor with one owner.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// Connects to the unix socket at `path`; throws std::system_error.
Descriptor dial(const std::string& path);

/// Binds `path` for the owner and `group` (none if negative) alone, and listens. A socket left by a dead process is
/// replaced. Bound under its final name, since /proc/net/unix shows the name of the bind for ever; nobody can connect
/// before listen().
Descriptor serve(const std::string& path, int group);

/// Writes all of `bytes`; false if the other end is gone.
bool write_all(int fd, std::string_view bytes);

/// Appends what one read() gives to `buffer`; false at the end of the stream or on an error.
bool read_some(int fd, std::string& buffer);

/// Copies both ways until `socket` ends; the end of `in` is passed on as a half-close, so that an answer still arrives.
void join(int in, int out, int socket);

}  // namespace test_builder
