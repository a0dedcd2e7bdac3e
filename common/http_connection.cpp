#include "common/http_connection.h"

#include <sys/un.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <cstdint>
#include <utility>

namespace buildwarden {
namespace asio = boost::asio;

namespace {

constexpr auto kUse = asio::as_tuple(asio::use_awaitable);
constexpr Duration kQueueFullPause{5};

Error lost(const boost::system::error_code& ec, std::string_view doing) {
  if (ec == asio::error::operation_aborted) return Error(Errc::kCancelled, std::string(doing) + ": cancelled");
  auto error = Error::from_errno(ec.value(), doing);
  if (error.code() == Errc::kDenied) return error;
  return Error(Errc::kUnavailable, error.message());
}

using Endpoint = asio::generic::stream_protocol::endpoint;
constexpr std::string_view kScheme = "http://";
constexpr asio::ip::port_type kHttpPort = 80;

// ADDRESS[:PORT], with an IPv6 address in brackets.
Result<Endpoint> tcp_endpoint(std::string_view authority) {
  const Error wrong(Errc::kInvalid, "not http:// and an address in figures: \"" + std::string(authority) + "\"");
  auto port = kHttpPort;
  const auto colon = authority.rfind(':');
  const auto bracket = authority.rfind(']');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const auto figures = authority.substr(colon + 1);
    const auto [end, failed] = std::from_chars(figures.data(), figures.data() + figures.size(), port);
    if (failed != std::errc{} || end != figures.data() + figures.size()) return wrong;
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
  boost::system::error_code no_address;
  const auto address = asio::ip::make_address(std::string(authority), no_address);
  if (no_address) return wrong;
  return Endpoint(asio::ip::tcp::endpoint(address, port));
}

Result<Endpoint> endpoint_of(const std::string& where) {
  if (where.starts_with(kScheme)) {
    std::string_view authority(where);
    authority.remove_prefix(kScheme.size());
    return tcp_endpoint(authority.substr(0, authority.find('/')));
  }
  if (where.empty() || where.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error(Errc::kInvalid, "not a path of a unix socket: \"" + where + "\"");
  }
  return Endpoint(asio::local::stream_protocol::endpoint(where));
}

}  // namespace

struct HttpConnection::State {
  explicit State(const asio::any_io_executor& executor) : socket(executor), timer(executor), pause(executor) {}

  asio::generic::stream_protocol::socket socket;
  asio::steady_timer timer;
  asio::steady_timer pause;
  std::uint64_t deadlines = 0;  // a number for each expire_after(), so that a late handler knows it is outdated
  bool expired = false;

  void expire(std::uint64_t deadline) {
    if (deadline != deadlines) return;
    expired = true;
    boost::system::error_code ignored;  // nothing to do about a socket that cannot be cancelled: it is closed soon
    socket.cancel(ignored);
    pause.cancel();
  }

  [[nodiscard]] Error failure(const boost::system::error_code& ec, std::string_view doing) const {
    if (expired) return Error(Errc::kTimeout, std::string(doing) + ": no answer in time");
    return lost(ec, doing);
  }
};

HttpConnection::HttpConnection(const asio::any_io_executor& executor) : state_(std::make_shared<State>(executor)) {}

HttpConnection::~HttpConnection() {
  ++state_->deadlines;
  state_->timer.cancel();
  boost::system::error_code ignored;  // closing releases the descriptor whatever it says
  state_->socket.close(ignored);
}

void HttpConnection::expire_after(Duration delay) {
  state_->expired = false;
  const auto deadline = ++state_->deadlines;
  state_->timer.expires_after(delay);
  state_->timer.async_wait([state = state_, deadline](const boost::system::error_code& ec) {
    if (!ec) state->expire(deadline);
  });
}

asio::awaitable<Result<void>> HttpConnection::connect(std::string where) {
  const auto state = state_;
  const auto endpoint = endpoint_of(where);
  if (!endpoint) co_return endpoint.error();
  const auto doing = "connecting to " + where;
  while (!state->expired) {
    auto [ec] = co_await state->socket.async_connect(*endpoint, kUse);
    if (ec) co_return state->failure(ec, doing);
    // A full queue of the listener looks like a success to Asio, but has no other end.
    static_cast<void>(state->socket.remote_endpoint(ec));
    if (!ec) co_return Result<void>{};
    state->socket.close(ec);
    state->pause.expires_after(kQueueFullPause);
    co_await state->pause.async_wait(kUse);
  }
  co_return Error(Errc::kTimeout, doing + ": the listener's queue is full");
}

asio::awaitable<Result<void>> HttpConnection::write(std::string_view bytes) {
  const auto state = state_;
  while (!bytes.empty()) {
    if (state->expired) co_return state->failure({}, "sending");
    const auto chunk = asio::buffer(bytes.data(), bytes.size());
    auto [ec, sent] = co_await state->socket.async_write_some(chunk, kUse);
    if (ec) co_return state->failure(ec, "sending");
    bytes.remove_prefix(sent);
  }
  co_return Result<void>{};
}

asio::awaitable<Result<std::size_t>> HttpConnection::read(asio::mutable_buffer into) {
  const auto state = state_;
  if (state->expired) co_return state->failure({}, "reading");
  auto [ec, got] = co_await state->socket.async_read_some(into, kUse);
  if (ec == asio::error::eof) co_return std::size_t{0};
  if (ec) co_return state->failure(ec, "reading");
  co_return got;
}

}  // namespace buildwarden
