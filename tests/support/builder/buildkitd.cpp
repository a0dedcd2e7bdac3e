// buildkitd.cpp - buildkitd [--addr unix://PATH] [--group GID] [flags of ./engine]; buildkitd --version
// The test builder's buildkitd: starts the engine beside it and serves that engine's BuildKit on the socket, by joining
// each connection to what the engine hands out after an HTTP upgrade. As with the real one it is this very process that
// listens, and SIGTERM ends it with 1. The socket appears when the engine answers, belongs to the group (a number) and
// lets only that group in. Ends with the engine.

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "streams.h"

namespace {

using test_builder::Descriptor;

constexpr const char* kEngine = "/usr/lib/buildkit/engine";
constexpr const char* kEngineSocket = "/run/engine/docker.sock";
constexpr std::string_view kUnixScheme = "unix://";
constexpr int kEnded = 1;  // as the real one does, also when it is asked to end

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
    std::fprintf(stderr, "buildkitd: the engine refused the upgrade: %s\n", answer.status_line.c_str());
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
    std::fprintf(stderr, "buildkitd: %s\n", error.what());
  }
}

/// Where connections are accepted; -1 before, and once somebody asked for the end: as the real one does, nobody listens
/// from then on.
std::atomic<int> listening{-1};

void stop_listening() {
  const int fd = listening.exchange(-1);
  if (fd >= 0) {
    shutdown(fd, SHUT_RDWR);
  }
}

[[noreturn]] void accept_all(const Descriptor& listener, const std::string& engine_socket) {
  listening = listener.get();
  for (;;) {
    const int fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) {
      std::this_thread::sleep_for(kRetry);  // out of descriptors, say: the next one may succeed
      continue;
    }
    std::thread([fd, engine_socket] { handle(Descriptor(fd), engine_socket); }).detach();
  }
}

struct Options {
  std::string socket = "/run/buildkit/buildkitd.sock";
  int group = -1;
};

/// Both spellings of a flag that takes a value: `--flag value`, `--flag=value`. Empty: it is another flag.
std::string value_of(const std::vector<std::string>& arguments, std::size_t at, const std::string& flag) {
  const std::string& argument = arguments[at];
  if (argument == flag && at + 1 < arguments.size()) {
    return arguments[at + 1];
  }
  return argument.starts_with(flag + "=") ? argument.substr(flag.size() + 1) : "";
}

Options read_options(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    const std::string address = value_of(arguments, at, "--addr");
    const std::string group = value_of(arguments, at, "--group");
    if (address.starts_with(kUnixScheme)) {
      options.socket = address.substr(kUnixScheme.size());
    }
    if (!group.empty()) {
      options.group = std::stoi(group);
    }
  }
  return options;
}

/// The engine, with no signal held back from it.
pid_t start_engine(char** argv, const sigset_t& held_back) {
  const pid_t pid = fork();
  if (pid < 0) {
    throw std::runtime_error("no process for the engine");
  }
  if (pid == 0) {
    sigprocmask(SIG_UNBLOCK, &held_back, nullptr);
    execv(kEngine, argv);
    _exit(127);
  }
  return pid;
}

void serve_when_it_answers(const Options& options) {
  while (!answers(kEngineSocket)) {
    std::this_thread::sleep_for(kRetry);
  }
  accept_all(test_builder::serve(options.socket, options.group), kEngineSocket);
}

/// Until the engine has ended, which it is asked to do when somebody asks this process. Other children are those of
/// ended processes, where no init takes them.
void wait_for_the_end(pid_t engine, const sigset_t& signals) {
  for (;;) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGCHLD) {
      stop_listening();
      kill(engine, SIGTERM);
      continue;
    }
    for (pid_t ended = 1; ended > 0;) {
      ended = waitpid(-1, nullptr, WNOHANG);
      if (ended == engine) {
        return;
      }
    }
  }
}

sigset_t signals_of_ends() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) {
    sigaddset(&signals, signal);
  }
  return signals;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  for (const std::string& argument : arguments) {
    if (argument == "--version") {
      std::puts("buildkitd github.com/moby/buildkit " TEST_BUILDER_VERSION " test");
      return 0;
    }
  }
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = signals_of_ends();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  try {
    const Options options = read_options(arguments);
    unlink(options.socket.c_str());
    const pid_t engine = start_engine(argv, signals);
    std::thread([options] {
      try {
        serve_when_it_answers(options);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "buildkitd: %s\n", error.what());
        kill(getpid(), SIGTERM);
      }
    }).detach();
    wait_for_the_end(engine, signals);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "buildkitd: %s\n", error.what());
  }
  std::fflush(nullptr);
  _exit(kEnded);  // connections may still be open
}
