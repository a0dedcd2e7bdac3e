// The least HTTP/1.1 client that keeps its connection: what it costs must not hide what is measured.
#pragma once

#include <string>
#include <string_view>

namespace buildwarden::bench {

// One kept connection to a unix socket, or to ADDRESS:PORT (IPv4). Throws std::runtime_error when the other side is not
// there or talks nonsense.
class Connection {
 public:
  explicit Connection(std::string path);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The status of the answer, whose body is read and dropped. Connects anew when the other side closed in between.
  int exchange(std::string_view method, std::string_view target, std::string_view body = {});

 private:
  void connect();
  [[nodiscard]] bool connect_unix();
  [[nodiscard]] bool connect_tcp();
  void close();
  int read_answer();
  std::size_t body_end(std::size_t head_end);
  bool receive();

  std::string path_;
  std::string buffer_;
  int fd_ = -1;
};

}  // namespace buildwarden::bench
