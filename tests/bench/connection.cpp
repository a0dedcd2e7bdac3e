#include "tests/bench/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>

namespace buildwarden::bench {
namespace {

// The value of a header in a head whose letters are all small; "" without it.
std::string_view header(std::string_view head, std::string_view name) {
  auto at = head.find(name);
  if (at == std::string_view::npos) return {};
  head.remove_prefix(at + name.size());
  head.remove_prefix(std::min(head.find_first_not_of(' '), head.size()));
  return head.substr(0, head.find("\r\n"));
}

std::size_t to_number(std::string_view text, int base) {
  std::size_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number, base).ec != std::errc()) {
    throw std::runtime_error("not a number: " + std::string(text));
  }
  return number;
}

}  // namespace

Connection::Connection(std::string path) : path_(std::move(path)) { connect(); }

Connection::~Connection() { close(); }

void Connection::connect() {
  if (!(path_.starts_with('/') ? connect_unix() : connect_tcp())) {
    close();
    throw std::runtime_error("nobody listens on " + path_);
  }
  buffer_.clear();
}

bool Connection::connect_unix() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd_ >= 0 && ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool Connection::connect_tcp() {
  const auto colon = path_.find(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(to_number(std::string_view(path_).substr(colon + 1), 10)));
  const int without_delay = 1;
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd_ >= 0 && ::inet_pton(AF_INET, path_.substr(0, colon).c_str(), &address.sin_addr) == 1 &&
         ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &without_delay, sizeof without_delay) == 0 &&
         ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

int Connection::exchange(std::string_view method, std::string_view target, std::string_view body) {
  std::string request;
  request.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
  if (!body.empty()) request.append("Content-Type: application/json\r\n");
  request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (fd_ < 0) connect();
    const auto sent = ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(request.size()) && receive()) return read_answer();
    close();
  }
  throw std::runtime_error(path_ + " closes without an answer");
}

bool Connection::receive() {
  char chunk[16 * 1024];
  const auto count = ::recv(fd_, chunk, sizeof chunk, 0);
  if (count <= 0) return false;
  buffer_.append(chunk, static_cast<std::size_t>(count));
  return true;
}

int Connection::read_answer() {
  const auto more = [this] {
    if (!receive()) throw std::runtime_error(path_ + " breaks off within an answer");
  };
  while (buffer_.find("\r\n\r\n") == std::string::npos) more();
  const auto head_end = buffer_.find("\r\n\r\n") + 4;
  for (auto end = body_end(head_end); end == 0 || buffer_.size() < end; end = body_end(head_end)) more();
  const auto status = static_cast<int>(to_number(std::string_view(buffer_).substr(9, 3), 10));
  const bool closes = buffer_.find("Connection: close") < head_end;
  buffer_.clear();
  if (closes) close();
  return status;
}

// Where the answer ends in the buffer; 0 while that cannot be told.
std::size_t Connection::body_end(std::size_t head_end) {
  std::string head = buffer_.substr(0, head_end);
  std::transform(head.begin(), head.end(), head.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  if (head.starts_with("http/1.1 204")) return head_end;
  if (header(head, "\r\ntransfer-encoding:") == "chunked") {
    const auto end = buffer_.find("0\r\n\r\n", head_end);
    return end == std::string::npos ? 0 : end + 5;
  }
  const auto length = header(head, "\r\ncontent-length:");
  return head_end + (length.empty() ? 0 : to_number(length, 10));
}

}  // namespace buildwarden::bench
