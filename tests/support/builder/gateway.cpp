// gateway.cpp - buildkit-gateway SOCKET ENGINE_SOCKET [GROUP]
// Serves BuildKit's gRPC on SOCKET: each connection is joined to the BuildKit inside the engine on ENGINE_SOCKET, which
// hands it out after an HTTP upgrade. SOCKET appears when the engine answers, belongs to GROUP (a number) and lets only
// that group in.

#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "streams.h"

namespace {

using test_builder::Descriptor;

constexpr std::string_view kPing = "GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n";
constexpr std::string_view kUpgrade =
    "POST /grpc HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::size_t kMaxHead = 16384;
constexpr std::chrono::milliseconds kRetry{50};

struct Answer {
  std::string status_line;
  std::string rest;  // what was read behind the head
};

Answer ask(const Descriptor& engine, std::string_view request) {
  std::string text;
  std::size_t end = std::string::npos;
  test_builder::write_all(engine.get(), request);
  while ((end = text.find(kEndOfHead)) == std::string::npos) {
    if (text.size() > kMaxHead || !test_builder::read_some(engine.get(), text)) {
      return {};
    }
  }
  return {text.substr(0, text.find('\r')), text.substr(end + kEndOfHead.size())};
}

bool has_status(const Answer& answer, std::string_view status) {
  return answer.status_line.find(" " + std::string(status)) != std::string::npos;
}

bool answers(const std::string& engine_socket) {
  try {
    const Descriptor engine = test_builder::dial(engine_socket);
    return has_status(ask(engine, kPing), "200");
  } catch (const std::exception&) {
    return false;
  }
}

void relay(const Descriptor& client, const std::string& engine_socket) {
  const Descriptor engine = test_builder::dial(engine_socket);
  const Answer answer = ask(engine, kUpgrade);
  if (!has_status(answer, "101")) {
    std::fprintf(stderr, "buildkit-gateway: the engine refused the upgrade: %s\n", answer.status_line.c_str());
    return;
  }
  if (test_builder::write_all(client.get(), answer.rest)) {
    test_builder::join(client.get(), client.get(), engine.get());
  }
}

void handle(Descriptor client, const std::string& engine_socket) {
  try {
    relay(client, engine_socket);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "buildkit-gateway: %s\n", error.what());
  }
}

[[noreturn]] void accept_all(const Descriptor& listener, const std::string& engine_socket) {
  for (;;) {
    const int fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) {
      std::this_thread::sleep_for(kRetry);  // out of descriptors, say: the next one may succeed
      continue;
    }
    std::thread([fd, engine_socket] { handle(Descriptor(fd), engine_socket); }).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: buildkit-gateway SOCKET ENGINE_SOCKET [GROUP]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const std::string engine_socket = argv[2];
  try {
    const int group = argc > 3 ? std::stoi(argv[3]) : -1;
    while (!answers(engine_socket)) {
      std::this_thread::sleep_for(kRetry);
    }
    accept_all(test_builder::serve(argv[1], group), engine_socket);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "buildkit-gateway: %s\n", error.what());
    return 1;
  }
}
