// Something that listens where buildkitd would, on the test's own loop.
#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace buildwarden::testing {

// A process that listens on a socket and does nothing else: whoever connects meets it (SO_PEERCRED), whoever accepts.
class ListeningProcess {
 public:
  explicit ListeningProcess(int socket) {
    std::array<int, 2> ready{-1, -1};
    if (::pipe(ready.data()) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      const char said = ::listen(socket, 16) == 0 ? 'y' : 'n';
      if (::write(ready[1], &said, 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    char heard = 'n';
    const bool listens = pid_ > 0 && ::read(ready[0], &heard, 1) == 1 && heard == 'y';
    ::close(ready[0]);
    ::close(ready[1]);
    if (!listens) throw std::runtime_error("no process listens");
  }
  ~ListeningProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ListeningProcess(const ListeningProcess&) = delete;
  ListeningProcess& operator=(const ListeningProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void stop() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }

 private:
  pid_t pid_ = -1;
};

// Lives as long as the loop runs; stop() ends its coroutines.
class FakeBuildkitd {
 public:
  enum class Manner { kAnswers, kFrozen, kForeign, kHangsUp };
  using Protocol = boost::asio::local::stream_protocol;

  // `apart`: another process listens, which does nothing at all.
  FakeBuildkitd(boost::asio::io_context& loop, const std::string& path, Manner as, bool apart = false)
      : manner(as), acceptor_(loop) {
    acceptor_.open();
    acceptor_.bind(Protocol::endpoint(path));
    if (apart) {
      listener.emplace(acceptor_.native_handle());
    } else {
      acceptor_.listen();
    }
    boost::asio::co_spawn(loop, accept_all(), boost::asio::detached);
  }
  void stop() {
    acceptor_.close();
    connections_.clear();
  }

  Manner manner;
  int asked = 0;
  std::optional<ListeningProcess> listener;
  std::string received;  // of the last connection

 private:
  static constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable);

  boost::asio::awaitable<void> accept_all() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(kAwait);
      if (error) co_return;
      ++asked;
      auto kept = std::make_shared<Protocol::socket>(std::move(socket));
      connections_.push_back(kept);
      boost::asio::co_spawn(acceptor_.get_executor(), answer(kept), boost::asio::detached);
    }
  }
  boost::asio::awaitable<void> answer(std::shared_ptr<Protocol::socket> socket) {
    if (manner == Manner::kHangsUp) socket->close();
    if (manner == Manner::kFrozen || manner == Manner::kHangsUp) co_return;
    std::array<char, 33> preface{};
    auto [error, count] = co_await boost::asio::async_read(*socket, boost::asio::buffer(preface), kAwait);
    if (error) co_return;
    received.assign(preface.data(), count);
    // SETTINGS with one entry (MAX_FRAME_SIZE 16384), as grpc-go sends it.
    const std::string settings("\0\0\6\4\0\0\0\0\0\0\5\0\0\100\0", 15);
    const std::string said = manner == Manner::kAnswers ? settings : "HTTP/1.1 400 Bad Request\r\n\r\n";
    co_await boost::asio::async_write(*socket, boost::asio::buffer(said), kAwait);
  }

  Protocol::acceptor acceptor_;
  std::vector<std::shared_ptr<Protocol::socket>> connections_;
};

}  // namespace buildwarden::testing
