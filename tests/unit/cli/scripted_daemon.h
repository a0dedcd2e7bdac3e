// A daemon of a few lines for the client's tests: real HTTP on a real unix socket, answers as the test says.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/format.h"
#include "daemon/cli/cli.h"

namespace buildwarden::testing {

// A folder of its own, removed with what is in it.
class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/bwcli.XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempFolder() {
    const std::string command = "rm -rf '" + path_ + "'";
    if (std::system(command.c_str()) != 0) std::abort();  // NOLINT(concurrency-mt-unsafe)
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct SeenRequest {
  std::string head;  // request line and headers
  std::string body;
  [[nodiscard]] std::string line() const { return head.substr(0, head.find("\r\n")); }
};

inline std::string http_answer(int status, const std::string& body, const std::string& type = "application/json") {
  return format("HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status, type,
                body.size(), body);
}

// Serves one connection at a time on a thread. A handler that gives "" stays silent until the daemon is destroyed.
class ScriptedDaemon {
 public:
  using Handler = std::function<std::string(const SeenRequest&)>;

  ScriptedDaemon(const std::string& path, Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path.c_str());
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 8) != 0) {
      throw std::runtime_error("the scripted daemon cannot listen");
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedDaemon() {
    ::shutdown(listener_, SHUT_RDWR);  // ends accept()
    thread_.join();
    ::close(listener_);
    for (const int held : held_) ::close(held);
  }
  ScriptedDaemon(const ScriptedDaemon&) = delete;
  ScriptedDaemon& operator=(const ScriptedDaemon&) = delete;

  [[nodiscard]] std::vector<SeenRequest> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void serve() {
    for (;;) {
      const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) return;
      const auto request = read_request(peer);
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(request);
      }
      const auto answer = handler_(request);
      if (answer.empty()) {
        held_.push_back(peer);
        continue;
      }
      (void)::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(peer);
    }
  }

  static SeenRequest read_request(int peer) {
    std::string all;
    char buffer[4096];
    for (;;) {
      const auto end = all.find("\r\n\r\n");
      if (end != std::string::npos && all.size() >= end + 4 + body_length(all.substr(0, end))) {
        return {all.substr(0, end), all.substr(end + 4)};
      }
      const auto count = ::recv(peer, buffer, sizeof buffer, 0);
      if (count <= 0) return {all, ""};
      all.append(buffer, static_cast<std::size_t>(count));
    }
  }

  static std::size_t body_length(const std::string& head) {
    const auto at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }

  Handler handler_;
  int listener_ = -1;
  std::mutex mutex_;
  std::vector<SeenRequest> seen_;
  std::vector<int> held_;
  std::thread thread_;
};

// One run of the command line in this process.
struct ClientRun {
  int code = -1;
  std::string out;
  std::string err;
};

// What surrounds the runs of one test: a folder, a socket below it, an environment, a short patience.
class ClientWorld {
 public:
  std::map<std::string, std::string> environment;
  bool terminal = false;
  cli::Terminal stdout_terminal;
  std::function<bool(Duration)> pause = [](Duration) { return false; };
  bool full = false;  // what is printed does not arrive
  Duration silence = std::chrono::milliseconds{100};
  std::string buildx_version = "github.com/docker/buildx v0.29.1 a32761a\n";

  [[nodiscard]] std::string folder() const { return folder_.path(); }
  [[nodiscard]] std::string socket() const { return folder_.path() + "/api.sock"; }

  ClientRun run(const std::vector<std::string>& arguments, const cli::ServeFunction& serve = refuse_to_serve) {
    ClientRun run;
    cli::Context context;
    context.out = [&run](std::string_view text) { run.out += text; };
    context.err = [&run](std::string_view text) { run.err += text; };
    context.env = [this](const std::string& name) {
      const auto found = environment.find(name);
      return found == environment.end() ? std::string() : found->second;
    };
    context.buildx_version = [this] { return buildx_version; };
    context.out_is_terminal = terminal;
    context.terminal = [this] { return stdout_terminal; };
    context.pause = pause;
    context.out_arrived = [this] { return !full; };
    context.silence = silence;
    context.socket = socket();
    run.code = cli::run(arguments, std::move(context), serve);
    return run;
  }

 private:
  static int refuse_to_serve(const cli::ServeOptions& /*options*/) { return 99; }
  TempFolder folder_;
};

// Of a daemon that does answer, on a machine that is busy.
inline constexpr std::chrono::seconds kPatient{30};

// What the client prints and ends with when the daemon gives this answer to each request.
inline ClientRun with_answer(ClientWorld& world, const std::string& answer, std::vector<std::string> arguments) {
  world.silence = kPatient;
  const ScriptedDaemon daemon(world.socket(), [&answer](const SeenRequest&) { return answer; });
  return world.run(std::move(arguments));
}

}  // namespace buildwarden::testing
