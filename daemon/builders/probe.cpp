#include "daemon/builders/probe.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string_view>

#include "common/format.h"
#include "daemon/builders/connections.h"
#include "daemon/builders/names.h"

namespace buildwarden::builders {
namespace asio = boost::asio;
namespace {

using Protocol = asio::local::stream_protocol;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// RFC 9113, 3.4: the connection preface, then an empty SETTINGS frame.
constexpr std::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
constexpr std::size_t kFrameHeader = 9;  // length 24 bits, type 8, flags 8, stream 32
constexpr unsigned char kSettings = 4;
constexpr unsigned char kAck = 1;
constexpr std::size_t kMostSettings = 16384;  // the frame size that both sides start with

// Whoever called listen() on what `connection` is to (unix(7), SO_PEERCRED).
std::optional<pid_t> listener_on(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) return std::nullopt;
  return peer.pid;
}

std::optional<int> others_beside_ours(std::optional<pid_t> listener) {
  if (!listener) return std::nullopt;
  const auto others = other_connections(*listener, kSocketInside, 1);
  if (!others) return std::nullopt;
  return *others;
}

bool is_first_settings(const std::array<unsigned char, kFrameHeader>& frame) {
  const auto length = (static_cast<std::size_t>(frame[0]) << 16U) | (static_cast<std::size_t>(frame[1]) << 8U) |
                      static_cast<std::size_t>(frame[2]);
  const bool stream_zero = frame[5] == 0 && frame[6] == 0 && frame[7] == 0 && frame[8] == 0;
  return frame[3] == kSettings && (frame[4] & kAck) == 0 && stream_zero && length % 6 == 0 && length <= kMostSettings;
}

}  // namespace

struct Probe::Exchange {
  explicit Exchange(const asio::any_io_executor& executor) : socket(executor), timer(executor) {}

  void end(Errc why) {
    ended = why;
    boost::system::error_code ignored;  // an unconnected socket is closed all the same
    socket.close(ignored);
  }

  // The end that was asked for tells more than the aborted operation.
  [[nodiscard]] Error failure(const boost::system::error_code& error, std::string_view doing) const {
    if (ended == Errc::kTimeout) return {Errc::kTimeout, "buildkitd accepts connections but does not answer"};
    if (ended == Errc::kCancelled || error == asio::error::operation_aborted) return {Errc::kCancelled, "cancelled"};
    if (error == asio::error::eof) return {Errc::kUnavailable, "buildkitd closed the connection"};
    return Error::from_errno(error.value(), doing);
  }

  Protocol::socket socket;
  asio::steady_timer timer;
  Errc ended = Errc::kIo;  // kTimeout or kCancelled once end() was called
};

namespace {

Result<Protocol::endpoint> endpoint_of(const std::string& path) {
  try {
    return Protocol::endpoint(path);
  } catch (const boost::system::system_error& error) {
    return Error(Errc::kInvalid, format("{}: {}", path, error.what()));
  }
}

}  // namespace

Probe::Probe(asio::any_io_executor executor) : executor_(std::move(executor)) {}

void Probe::cancel() {
  if (const auto exchange = current_.lock()) exchange->end(Errc::kCancelled);
}

ports::Async<std::optional<int>> Probe::ask(std::string socket_path, Duration deadline) {
  auto endpoint = endpoint_of(socket_path);
  if (!endpoint) co_return std::move(endpoint).error();
  const auto exchange = std::make_shared<Exchange>(executor_);
  current_ = exchange;
  exchange->timer.expires_after(deadline);
  exchange->timer.async_wait([weak = std::weak_ptr(exchange)](const boost::system::error_code& cancelled) {
    const auto waiting = weak.lock();
    if (!cancelled && waiting) waiting->end(Errc::kTimeout);
  });
  auto [refused] = co_await exchange->socket.async_connect(*endpoint, kAwait);
  if (exchange->ended == Errc::kIo) listener_ = refused ? std::nullopt : listener_on(exchange->socket.native_handle());
  if (refused) co_return exchange->failure(refused, format("connect to {}", socket_path));
  auto [unsent, sent] = co_await asio::async_write(exchange->socket, asio::buffer(kPreface), kAwait);
  if (unsent) co_return exchange->failure(unsent, "send the HTTP/2 preface");
  std::array<unsigned char, kFrameHeader> frame{};
  auto [unread, count] = co_await asio::async_read(exchange->socket, asio::buffer(frame), kAwait);
  if (unread) co_return exchange->failure(unread, "read the HTTP/2 settings");
  if (!is_first_settings(frame)) co_return Error(Errc::kProtocol, format("{} does not speak HTTP/2", socket_path));
  co_return others_beside_ours(listener_);
}

}  // namespace buildwarden::builders
