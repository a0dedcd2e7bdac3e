#include "tests/support/fault_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <regex>
#include <system_error>

namespace buildwarden::testing {
namespace {

constexpr int kLook = 100;  // ms between looks at whether it is over
constexpr int kLateness = 3'000;
constexpr char kGarbageBytes[] = "\x16\x03\x01\0\xff garbage \r\n\r\n";
constexpr std::string_view kGarbage(kGarbageBytes, sizeof kGarbageBytes - 1);

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::system_error(ENAMETOOLONG, std::generic_category(), path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int unix_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

int listen_at(const std::string& path) {
  const int listening = unix_socket();
  const auto address = address_of(path);
  if (::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listening, 64) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  return listening;
}

bool send_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string answer_of(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

// "GET /v1.45/images/sha256:…/json?x HTTP/1.1" → "GET /images/{}/json".
std::string call_of(const std::string& head) {
  static const std::regex line(R"(^(\w+) (?:/v[0-9.]+)?(/[^ ?]*))");
  static const std::regex id(
      R"(/(images|containers|exec|networks|volumes)/(?!json|create|load|prune)[^/]+(?:/[^/]+)*?(?=/(json|start|stop|kill|exec|archive|restart|unpause|wait)$|$))");
  std::smatch found;
  if (!std::regex_search(head, found, line)) return head.substr(0, head.find('\r'));
  return found[1].str() + " " + std::regex_replace(found[2].str(), id, "/$1/{}");
}

}  // namespace

std::string to_string(Fault fault) {
  static const std::map<Fault, std::string> names = {
      {Fault::kNone, "none"},          {Fault::kReset, "reset"},          {Fault::kTruncated, "truncated"},
      {Fault::kError, "500"},          {Fault::kGarbage, "garbage"},      {Fault::kWrongJson, "wrong JSON"},
      {Fault::kHalfJson, "half JSON"}, {Fault::kEndless, "endless body"}, {Fault::kLate, "late"},
      {Fault::kSilent, "silent"}};
  return names.at(fault);
}

FaultProxy::FaultProxy(std::string path, std::string engine) : engine_(std::move(engine)), listening_(listen_at(path)) {
  accepting_ = std::thread([this] { accept(); });
}

FaultProxy::~FaultProxy() {
  stopping_ = true;
  cut();
  accepting_.join();
  for (auto& one : serving_) one.join();
  ::close(listening_);
}

void FaultProxy::set(Fault fault, const std::string& call) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  only_ = call;
}

void FaultProxy::cut() {
  const std::lock_guard lock(mutex_);
  for (const auto& [one, call] : open_) ::shutdown(one, SHUT_RDWR);
}

void FaultProxy::inject(const std::string& call, const std::string& line) {
  std::array<char, 20> length{};
  std::snprintf(length.data(), length.size(), "%zx\r\n", line.size());
  const std::lock_guard lock(mutex_);
  for (const auto& [one, asked] : open_) {
    if (asked == call) send_all(one, length.data() + line + "\r\n");
  }
}

std::set<std::string> FaultProxy::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

Fault FaultProxy::fault_for(int client, const std::string& call) {
  const std::lock_guard lock(mutex_);
  open_[client] = call;
  calls_.insert(call);
  return only_.empty() || only_ == call ? fault_ : Fault::kNone;
}

void FaultProxy::accept() {
  while (!stopping_) {
    pollfd ready{listening_, POLLIN, 0};
    if (::poll(&ready, 1, kLook) != 1) continue;
    const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    {
      const std::lock_guard lock(mutex_);
      open_.emplace(client, "");
    }
    serving_.emplace_back([this, client] {
      serve(client);
      const std::lock_guard lock(mutex_);
      open_.erase(client);
      ::close(client);
    });
  }
}

// True: the answer was given, or withheld, here.
bool FaultProxy::misbehave(Fault fault, int client) {
  if (fault == Fault::kNone) return false;
  ++broken_;
  switch (fault) {
    case Fault::kReset: return true;
    case Fault::kError:
      send_all(client, answer_of("500 Internal Server Error", R"({"message":"injected"})"));
      return true;
    case Fault::kGarbage: send_all(client, kGarbage); return true;
    case Fault::kWrongJson:
      send_all(client, answer_of("200 OK", R"({"Id":7,"Images":{},"BuildCache":"none"})"));
      return true;
    case Fault::kHalfJson: send_all(client, answer_of("200 OK", R"([{"Id":"sha256:0","RepoTags":["a)")); return true;
    case Fault::kEndless:
      send_all(client, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
      while (!stopping_ && send_all(client, std::string(65'536, ' '))) {
      }
      return true;
    case Fault::kLate:
      for (int waited = 0; !stopping_ && waited < kLateness; waited += kLook) ::poll(nullptr, 0, kLook);
      return false;
    case Fault::kSilent:
      for (pollfd gone{client, POLLIN | POLLRDHUP, 0}; !stopping_ && ::poll(&gone, 1, kLook) == 0;) {
      }
      return true;
    default: return false;
  }
}

// Both ways until one end closes; `half`: the first bytes of the answer alone, and of those half.
void FaultProxy::relay(int client, int engine, bool half) const {
  std::array<char, 65'536> room{};
  std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {engine, POLLIN, 0}}};
  while (!stopping_) {
    if (::poll(ends.data(), ends.size(), kLook) <= 0) continue;
    for (std::size_t from = 0; from < 2; ++from) {
      if (ends.at(from).revents == 0) continue;
      const auto count = ::recv(ends.at(from).fd, room.data(), room.size(), 0);
      if (count <= 0) return;
      std::string_view bytes(room.data(), static_cast<std::size_t>(count));
      const bool last = half && from == 1;
      if (last) bytes = bytes.substr(0, bytes.size() / 2);
      if (!send_all(ends.at(1 - from).fd, bytes) || last) return;
    }
  }
}

void FaultProxy::serve(int client) {
  std::string head;
  std::array<char, 65'536> room{};
  while (head.find("\r\n\r\n") == std::string::npos) {
    const auto count = ::recv(client, room.data(), room.size(), 0);
    if (count <= 0) return;
    head.append(room.data(), static_cast<std::size_t>(count));
  }
  const auto fault = fault_for(client, call_of(head));
  if (misbehave(fault, client)) return;
  const int engine = unix_socket();
  const auto address = address_of(engine_);
  if (::connect(engine, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    // One request a connection; an upgrade (exec, attach) keeps its own header.
    if (head.find("\r\nUpgrade:") == std::string::npos) head.insert(head.find("\r\n"), "\r\nConnection: close");
    if (send_all(engine, head)) relay(client, engine, fault == Fault::kTruncated);
  }
  ::close(engine);
}

}  // namespace buildwarden::testing
