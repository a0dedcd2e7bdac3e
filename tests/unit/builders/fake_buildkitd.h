// Something that listens where buildkitd would, on the test's own loop.
#pragma once

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
#include <memory>
#include <string>
#include <vector>

namespace buildwarden::testing {

// Lives as long as the loop runs; stop() ends its coroutines.
class FakeBuildkitd {
 public:
  enum class Manner { kAnswers, kFrozen, kForeign, kHangsUp };
  using Protocol = boost::asio::local::stream_protocol;

  FakeBuildkitd(boost::asio::io_context& loop, const std::string& path, Manner as)
      : manner(as), acceptor_(loop, Protocol::endpoint(path)) {
    boost::asio::co_spawn(loop, accept_all(), boost::asio::detached);
  }
  void stop() {
    acceptor_.close();
    connections_.clear();
  }

  Manner manner;
  int asked = 0;
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
