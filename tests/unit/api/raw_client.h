// HTTP as bytes, so that tests see exactly what goes over the wire. Blocking; nothing waits longer than 10 s.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstring>
#include <string>
#include <utility>

namespace buildwarden::api {

struct Answer {
  int status = 0;  // 0: the connection was closed instead
  std::string head;
  std::string body;

  [[nodiscard]] bool has(const std::string& header) const { return head.find(header + "\r\n") != std::string::npos; }
  [[nodiscard]] boost::json::value json() const {
    boost::system::error_code failed;
    auto value = boost::json::parse(body, failed);
    EXPECT_FALSE(failed) << body;
    return value;
  }
  // A member of the body, as text.
  [[nodiscard]] std::string text(const char* key) const {
    const auto value = json();
    const auto* found = value.is_object() ? value.as_object().if_contains(key) : nullptr;
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
  }
};

class RawClient {
 public:
  static RawClient unix_socket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return {AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof(address)};
  }
  static RawClient tcp(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return {AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof(address)};
  }
  RawClient(RawClient&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), connected_(other.connected_) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() { close(); }

  [[nodiscard]] bool connected() const { return connected_; }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

  // False when the other side has hung up.
  bool send(const std::string& bytes) const {
    return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

  // Everything up to and with `end`; less when the other side hangs up or is silent.
  std::string read_until(const std::string& end) {
    while (gathered_.find(end) == std::string::npos && read_more()) {
    }
    const auto at = gathered_.find(end);
    return take(at == std::string::npos ? gathered_.size() : at + end.size());
  }

  Answer read_answer(bool head_only = false) {
    Answer answer;
    answer.head = read_until("\r\n\r\n");
    if (!answer.head.starts_with("HTTP/1.")) return answer;
    answer.status = std::stoi(answer.head.substr(9, 3));
    const auto length = answer.head.find("Content-Length: ");
    if (length == std::string::npos || head_only) return answer;
    const auto size = std::stoul(answer.head.substr(length + 16));
    while (gathered_.size() < size && read_more()) {
    }
    answer.body = take(size);
    return answer;
  }

  // Whether the other side hangs up, after what it still had to say.
  bool is_closed() {
    while (read_more()) {
    }
    return closed_;
  }

  // The same, without waiting for it.
  [[nodiscard]] bool is_closed_now() const {
    char bytes[16384];
    for (;;) {
      const auto got = ::recv(descriptor_, bytes, sizeof(bytes), MSG_DONTWAIT);
      if (got > 0) continue;
      return got == 0 || errno != EAGAIN;
    }
  }

 private:
  RawClient(int family, const sockaddr* address, socklen_t length)
      : descriptor_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{10, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    connected_ = ::connect(descriptor_, address, length) == 0;
  }

  bool read_more() {
    char bytes[16384];
    const auto got = ::recv(descriptor_, bytes, sizeof(bytes), 0);
    if (got > 0) gathered_.append(bytes, static_cast<std::size_t>(got));
    closed_ = got == 0 || (got < 0 && errno == ECONNRESET);
    return got > 0;
  }

  std::string take(std::size_t size) {
    auto taken = gathered_.substr(0, size);
    gathered_.erase(0, size);
    return taken;
  }

  int descriptor_;
  bool connected_ = false;
  bool closed_ = false;
  std::string gathered_;
};

}  // namespace buildwarden::api
