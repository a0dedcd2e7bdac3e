#include "tests/support/hostile_clients.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <random>

#include "tests/support/thread_as_user.h"

namespace buildwarden::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kCrowd = 10'000;     // connections held at once over TCP
constexpr std::size_t kUnixCrowd = 1'000;  // each of them may block who connects: the queue is short
constexpr std::size_t kCrowdEachRound = 400;
constexpr int kPatience = 15'000;  // ms for an answer that has to come
constexpr std::string_view kHealth = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

void send_some(int socket, std::string_view bytes) {
  (void)!::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Until the other side hangs up (or is silent for `silence` ms); at most a MiB.
std::string read_all(int socket, int silence) {
  std::string all;
  std::array<char, 16384> room{};
  pollfd ready{socket, POLLIN, 0};
  while (all.size() < (1U << 20U) && ::poll(&ready, 1, silence) == 1) {
    const auto count = ::recv(socket, room.data(), room.size(), MSG_DONTWAIT);
    if (count <= 0) break;
    all.append(room.data(), static_cast<std::size_t>(count));
  }
  return all;
}

std::size_t answers_in(std::string_view text) {
  constexpr std::string_view kInEach = "\r\nDate: ";
  std::size_t count = 0;
  for (auto at = text.find(kInEach); at != std::string_view::npos; at = text.find(kInEach, at + 1)) ++count;
  return count;
}

void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(30'000, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Messages in which one reader sees one request and another one two.
std::vector<std::string> ambiguous() {
  const std::string post = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n";
  const std::string inner = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  return {
      post + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + inner,
      post + "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
      post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
      post + "Transfer-Encoding: xchunked\r\n\r\n" + inner,
      post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
      post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
      post + "Transfer-Encoding:\tchunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n" + inner,
      post + "Content-Length: 0, 44\r\n\r\n" + inner,
      post + "Content-Length: +0\r\n\r\n" + inner,
      post + "Content-Length: 0\r\nHost: evil.example\r\n\r\n" + inner,
      post + "Content-Length: 18446744073709551660\r\n\r\n" + inner,
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " +
          std::string(65'534, 'a') + "\r\n\r\n" + inner,
  };
}

}  // namespace

HostileClients::HostileClients(HostileTarget target, Side side) : target_(std::move(target)), side_(side) {
  raise_descriptor_limit();
  thread_ = std::thread([this] { attack(); });
}

HostileClients::~HostileClients() {
  stop();
  for (const int socket : held_) ::close(socket);
}

void HostileClients::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void HostileClients::attack() {
  std::optional<ThreadAsUser> user;
  if (side_ == Side::kUnix) user.emplace(target_.uid, target_.uid);
  while (!stopping_) {
    for (const auto what : {&HostileClients::smuggle, &HostileClients::stream_chunks, &HostileClients::send_slowly,
                            &HostileClients::read_slowly, &HostileClients::pipeline, &HostileClients::close_halves,
                            &HostileClients::talk_nonsense, &HostileClients::follow, &HostileClients::crowd}) {
      if (stopping_) return;
      (this->*what)();
      drip();
    }
    ++rounds_;
  }
}

// -1 when the other side's queue is full.
int HostileClients::connect() {
  const int family = side_ == Side::kUnix ? AF_UNIX : AF_INET;
  const int made = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un file{};
  file.sun_family = AF_UNIX;
  std::memcpy(file.sun_path, target_.socket.data(), target_.socket.size());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(target_.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_unix = side_ == Side::kUnix;
  const auto* to = is_unix ? reinterpret_cast<const sockaddr*>(&file) : reinterpret_cast<const sockaddr*>(&address);
  const bool connected = ::connect(made, to, is_unix ? sizeof file : sizeof address) == 0;
  pollfd ready{made, POLLOUT, 0};
  if (!connected && (errno != EINPROGRESS || ::poll(&ready, 1, 1'000) != 1)) {
    ::close(made);
    return -1;
  }
  ++connections_;
  return made;
}

// The oldest go when there are more.
void HostileClients::hold(int socket, std::size_t most) {
  held_.push_back(socket);
  for (; held_.size() > most; held_.pop_front()) ::close(held_.front());
  most_held_ = std::max(most_held_, held_.size());
}

void HostileClients::surprised(std::string what) {
  if (surprises_.size() < 20) surprises_.push_back(std::move(what));
}

void HostileClients::smuggle() {
  for (const auto& message : ambiguous()) {
    const int socket = connect();
    if (socket < 0) continue;
    send_some(socket, message);
    const auto answer = read_all(socket, kPatience);
    if (answers_in(answer) > 1) surprised("two answers to " + message.substr(0, 200) + ": " + answer.substr(0, 400));
    if (answer.starts_with("HTTP/1.1 200")) surprised("taken: " + message.substr(0, 200));
    ::close(socket);
  }
}

// Extensions of a chunk, and trailers, without an end: until the other side has enough.
void HostileClients::stream_chunks() {
  const std::string piece(16 * 1024, 'a');
  for (const auto* begin : {"1;", "0\r\nX: "}) {
    const int socket = connect();
    if (socket < 0) continue;
    send_some(socket, "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_some(socket, begin);
    for (int i = 0; i < 2'000 && ::send(socket, piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0; ++i) {
    }
    ::close(socket);
  }
}

void HostileClients::send_slowly() {
  const auto most = side_ == Side::kUnix ? kUnixCrowd : kCrowd;
  for (int i = 0; i < 100; ++i) {
    const int socket = connect();
    if (socket < 0) return;
    send_some(socket, i % 2 == 0 ? "GET /hea" : "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{");
    hold(socket, most);
  }
}

void HostileClients::read_slowly() {
  const int small = 1;  // the kernel's least
  const auto most = side_ == Side::kUnix ? kUnixCrowd : kCrowd;
  for (const auto* target : {"/openapi.json", "/v1/events", "/metrics", "/", "/v1/status"}) {
    for (int i = 0; i < 10; ++i) {
      const int socket = connect();
      if (socket < 0) return;
      ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
      const std::string request = std::string("GET ") + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
      for (int ask = 0; ask < 20; ++ask) send_some(socket, request);
      hold(socket, most);
    }
  }
}

void HostileClients::pipeline() {
  std::string many;
  for (int i = 0; i < 500; ++i) many += kHealth;
  for (int i = 0; i < 20; ++i) {
    const int socket = connect();
    if (socket < 0) return;
    send_some(socket, many);
    hold(socket, side_ == Side::kUnix ? kUnixCrowd : kCrowd);
  }
}

void HostileClients::close_halves() {
  for (const std::string_view bytes : {kHealth, kHealth.substr(0, 20), kHealth.substr(0, 0)}) {
    const int socket = connect();
    if (socket < 0) continue;
    send_some(socket, bytes);
    ::shutdown(socket, SHUT_WR);
    const auto answer = read_all(socket, kPatience);
    const bool is_good = answer.empty() || answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 503");
    if (!is_good) surprised("after a half-close: " + answer.substr(0, 200));
    ::close(socket);
  }
  for (int i = 0; i < 50; ++i) {  // gone at once, with an RST over TCP
    const int socket = connect();
    if (socket < 0) return;
    const linger at_once{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    send_some(socket, kHealth);
    ::close(socket);
  }
}

void HostileClients::talk_nonsense() {
  std::minstd_rand random(static_cast<unsigned>(rounds_ + 1));
  for (int i = 0; i < 20; ++i) {
    const int socket = connect();
    if (socket < 0) return;
    std::string bytes = i % 2 == 0 ? "GET / HTTP/1.1\r\n" : "";
    while (bytes.size() < 12'000) bytes += static_cast<char>(random() % 256);
    send_some(socket, bytes + "\r\n\r\n");
    hold(socket, side_ == Side::kUnix ? kUnixCrowd : kCrowd);
  }
}

void HostileClients::follow() {
  for (int i = 0; i < 40; ++i) {
    const int socket = connect();
    if (socket < 0) return;
    send_some(socket, "GET /v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    hold(socket, side_ == Side::kUnix ? kUnixCrowd : kCrowd);
  }
}

void HostileClients::crowd() {
  const bool is_unix = side_ == Side::kUnix;
  for (std::size_t i = 0; i < kCrowdEachRound * (is_unix ? 1 : 5) && !stopping_; ++i) {
    const int socket = connect();
    if (socket < 0) return;
    if (i % 2 == 0) send_some(socket, kHealth);
    hold(socket, is_unix ? kUnixCrowd : kCrowd);
  }
}

// A byte more for each that is held: what counted from the last byte would never end.
void HostileClients::drip() {
  for (const int socket : held_) send_some(socket, "a");
}

}  // namespace buildwarden::testing
