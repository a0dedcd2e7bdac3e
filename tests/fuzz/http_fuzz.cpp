// Any bytes as requests through the real server, its sessions and all routes, over real sockets and rooms that answer
// at once. What comes back is HTTP or nothing, and afterwards a good request is answered.
//
// An input is what a client sends, but for a few bytes, so that a short one reaches what takes long messages and many
// reads (a target that sent its input as it is, 16 KiB at most and in one piece, did not find the trailer of 64 KiB and
// the endless chunk extension of issue 14):
//   \x01 LETTER CHARACTER   the character 2^n times, n from 0 for 'a' to 17 for 'r'
//   \x02                    what comes next is sent when the server has read all before it
//   \x03                    nothing more is sent: half-closed
//   \x04                    this connection is left as it is, and another one begins
//   \x05                    this and later connections are TCP
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/api/api_fixture.h"

namespace buildwarden::fuzz {
namespace {

// The fixture of the API's tests, outside of a test.
class Host : public api::ApiTest {
 public:
  Host() {
    SetUp();
    ports::JobAnswer answer;
    answer.id = "job";
    answer.admitted = true;
    answer.grant.env = {{"A", "it's"}};
    answer.grant.files = {{"instances/x", 0600, "{}"}};
    admissions.answer = answer;
    start();
    expect(port != 0);
  }
  ~Host() override { TearDown(); }
  void TestBody() override {}
  [[nodiscard]] std::string address() const { return socket(); }
  [[nodiscard]] std::uint16_t tcp_port() const { return port; }
};

constexpr int kStreamSilence = 20;
constexpr int kPatience = 20'000;

// libFuzzer's alarm comes every few seconds, and interrupts what waits: that is no silence.
template <class Call>
auto persist(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Of a client that opens no connection but one, so that the next input meets no leftovers.
constexpr std::size_t kMostSent = std::size_t{1} << 20U;

class Client {
 public:
  explicit Client(const Host& host, bool on_tcp)
      : socket_(on_tcp ? tcp(host.tcp_port()) : unix_socket(host.address())) {}
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // As much as the other side takes, and until it has read it; false when it has hung up.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = persist([&] { return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void wait_until_read() const {
    int unread = 1;
    for (int i = 0; i < 10'000 && ::ioctl(socket_, SIOCOUTQ, &unread) == 0 && unread > 0; ++i) ::usleep(10);
  }
  void close_half() const { ::shutdown(socket_, SHUT_WR); }
  // Until the other end closes, or is silent as an endless stream is.
  [[nodiscard]] std::string read(int silence_ms) const {
    std::string all;
    char room[4096];
    pollfd ready{socket_, POLLIN, 0};
    while (persist([&] { return ::poll(&ready, 1, silence_ms); }) == 1) {
      const auto count = persist([&] { return ::recv(socket_, room, sizeof room, 0); });
      if (count < 0) return all + std::strerror(errno);
      if (count == 0) return all;
      all.append(room, static_cast<std::size_t>(count));
    }
    if (silence_ms == kPatience) all += "and then silence";
    return all;
  }

 private:
  static int unix_socket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return connected(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  static int tcp(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connected(AF_INET, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  static int connected(int family, const sockaddr* address, socklen_t length) {
    const int made = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{1, 0};  // the other side reads what it takes at once
    ::setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    expect(persist([&] { return ::connect(made, address, length); }) == 0, std::strerror(errno));
    return made;
  }

  int socket_;
};

// One input's connections.
class Script {
 public:
  explicit Script(const Host& host) : host_(host) { begin(); }

  void run(std::string_view input) {
    for (std::size_t i = 0; i < input.size() && sent_ < kMostSent; ++i) {
      switch (input[i]) {
        case '\x01':
          if (i + 2 >= input.size()) return;
          piece_.append(std::size_t{1} << std::clamp(input[i + 1] - 'a', 0, 17), input[i + 2]);
          i += 2;
          break;
        case '\x02': flush(); break;
        case '\x03':
          flush();
          clients_.back()->close_half();
          break;
        case '\x05': on_tcp_ = true; [[fallthrough]];
        case '\x04':
          if (clients_.size() < 8) begin();
          break;
        default: piece_ += input[i];
      }
    }
    flush();
  }
  // Each answer is HTTP, or nothing.
  void check_answers() {
    for (const auto& client : clients_) {
      client->close_half();
      const auto answer = client->read(kStreamSilence);
      expect(answer.empty() || answer.starts_with("HTTP/1."), answer);
    }
  }

 private:
  void begin() {
    if (!clients_.empty()) flush();
    clients_.push_back(std::make_unique<Client>(host_, on_tcp_));
  }
  void flush() {
    sent_ += piece_.size();
    if (clients_.back()->send(piece_)) clients_.back()->wait_until_read();
    piece_.clear();
  }

  const Host& host_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::string piece_;
  std::size_t sent_ = 0;
  bool on_tcp_ = false;
};

}  // namespace
}  // namespace buildwarden::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  static const fuzz::Host host;
  fuzz::Script script(host);
  script.run(fuzz::as_text(data, size));
  script.check_answers();
  const fuzz::Client client(host, false);
  client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  client.close_half();
  const auto answer = client.read(fuzz::kPatience);
  fuzz::expect(answer.starts_with("HTTP/1.1 200 "), answer);
  return 0;
}
