// What systemd's end of $NOTIFY_SOCKET is: a datagram socket in a folder of its own.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/patience.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::testing {

class NotifySocket {
 public:
  NotifySocket() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof(address.sun_path) - 1);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::runtime_error("no socket for notifications");
    }
  }
  ~NotifySocket() { ::close(socket_); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  [[nodiscard]] std::string path() const { return folder_.path() + "/notify"; }

  // Waits until a message came that begins so; false when none comes.
  bool wait_for(const std::string& beginning, std::chrono::milliseconds patience = kTestPatience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (std::size_t looked = 0;;) {
      for (; looked < messages_.size(); ++looked) {
        if (messages_[looked].starts_with(beginning)) return true;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd ready{socket_, POLLIN, 0};
      ::poll(&ready, 1, static_cast<int>(left.count()));
      receive();
    }
  }
  // All that came so far, in order; forgets what came before.
  std::vector<std::string> take() {
    receive();
    return std::exchange(messages_, {});
  }

 private:
  void receive() {
    std::array<char, 4096> buffer{};
    for (;;) {
      const auto count = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (count < 0) return;
      messages_.emplace_back(buffer.data(), static_cast<std::size_t>(count));
    }
  }

  TempFolder folder_;
  int socket_;
  std::vector<std::string> messages_;
};

}  // namespace buildwarden::testing
