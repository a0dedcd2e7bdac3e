#include "tests/bench/crowded_engine.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "common/format.h"

namespace buildwarden::bench {
namespace {

constexpr std::size_t kChunk = 32'768;

std::string image(int at) {
  return format(
      R"({{"Containers":-1,"Created":{},"Id":"sha256:{:064x}","Labels":{{"org.example.build":"{}","maintainer":"ci"}},)"
      R"("ParentId":"","RepoDigests":["registry.example.com/team/service-{}@sha256:{:064x}"],)"
      R"("RepoTags":["registry.example.com/team/service-{}:build-{}","service-{}:latest"],"SharedSize":-1,"Size":{}}})",
      1'600'000'000 + at, at, at, at, at, at, at, at, 20'000'000 + at * 1000);
}

std::string record(int at) {
  return format(
      R"({{"ID":"{:025x}","Parents":["{:025x}"],"Type":"regular","Description":"mount / from exec /bin/sh -c apt-get )"
      R"(install -y --no-install-recommends package-{} && make -j4 && make install","InUse":false,"Shared":false,)"
      R"("Size":{},"CreatedAt":"2020-01-{:02}T10:{:02}:{:02}.123456789Z","LastUsedAt":"2020-02-{:02}T10:{:02}:{:02}.1Z",)"
      R"("UsageCount":{}}})",
      at, at - 1, at, 1'000'000 + at, at % 28 + 1, at / 60 % 60, at % 60, at % 28 + 1, at / 60 % 60, at % 60, at % 9);
}

std::string volume(int at) {
  return format(R"({{"CreatedAt":"2020-01-{:02}T10:00:00Z","Driver":"local","Labels":null,"Mountpoint":"/v/{}","Name":)"
                R"("buildx_buildkit_job{}0_state","Options":null,"Scope":"local"}})",
                at % 28 + 1, at, at);
}

std::string list_of(int count, std::string (*item)(int)) {
  std::string text = "[";
  for (int at = 1; at <= count; ++at) {
    if (at > 1) text += ',';
    text += item(at);
  }
  return text + "]";
}

bool send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string request_path(int connection) {
  std::string head;
  std::string buffer(4096, '\0');
  while (head.find("\r\n\r\n") == std::string::npos) {
    const auto got = ::recv(connection, buffer.data(), buffer.size(), 0);
    if (got <= 0) return {};
    head.append(buffer, 0, static_cast<std::size_t>(got));
  }
  auto target = head.substr(head.find(' ') + 1);
  target = target.substr(0, target.find(' '));
  const bool past = target.find("until=") != std::string::npos;
  target = target.substr(0, target.find('?')) + (past ? "?past" : "");
  return target.starts_with("/v1.") ? target.substr(target.find('/', 1)) : target;
}

}  // namespace

CrowdedEngine::CrowdedEngine(std::string path, int images, int records, int volumes) : path_(std::move(path)) {
  bodies_["/_ping"] = "OK";
  bodies_["/info"] = R"({"ID":"crowded","ServerVersion":"26.1.5","SecurityOptions":[],"DockerRootDir":")" +
                     path_.substr(0, path_.rfind('/')) + "\"}";
  bodies_["/containers/json"] = "[]";
  bodies_["/events?past"] = "\n";
  bodies_["/images/json"] = list_of(images, image);
  bodies_["/volumes"] = "{\"Volumes\":" + list_of(volumes, volume) + ",\"Warnings\":null}";
  bodies_["/networks"] = "[]";
  bodies_["/system/df"] = "{\"BuildCache\":" + list_of(records, record) + "}";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) throw std::runtime_error("the socket's path is too long");
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0) {
    throw std::runtime_error("cannot listen on " + path_);
  }
  threads_.emplace_back([this] { accept_all(); });
}

CrowdedEngine::~CrowdedEngine() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  threads_.clear();  // joins; each connection is closed by its client
  ::close(listener_);
  ::unlink(path_.c_str());
}

void CrowdedEngine::accept_all() {
  std::vector<std::jthread> connections;
  while (!stopping_) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    connections.emplace_back([this, connection] { serve(connection); });
  }
}

void CrowdedEngine::serve(int connection) {
  const auto path = request_path(connection);
  const auto found = bodies_.find(path);
  std::string head = found == bodies_.end() && path != "/events" ? "HTTP/1.1 404 Not Found\r\n" : "HTTP/1.1 200 OK\r\n";
  head += "Api-Version: 1.45\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  bool alive = send_all(connection, head);
  std::string_view body = found == bodies_.end() ? std::string_view() : found->second;
  while (alive && !body.empty()) {
    const auto piece = body.substr(0, kChunk);
    body.remove_prefix(piece.size());
    alive = send_all(connection, format("{:x}\r\n{}\r\n", piece.size(), piece));
  }
  if (path == "/events") {  // until the client goes
    char ignored = 0;
    while (::recv(connection, &ignored, 1, 0) > 0) {
    }
  } else if (alive) {
    send_all(connection, "0\r\n\r\n");
  }
  ::close(connection);
}

}  // namespace buildwarden::bench
