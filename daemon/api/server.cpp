#include "daemon/api/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "common/pause.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;

namespace {

constexpr Duration kAcceptPause = std::chrono::milliseconds{100};
constexpr Duration kAbortPatience = std::chrono::seconds{1};

// Best effort, without waiting: the socket's buffer is empty, so all of it fits.
void send_refusal(int descriptor) {
  const auto refusal = problem(503, "too_many_connections", "too many connections are open; try again");
  const auto text = format("HTTP/1.1 503 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                           status_text(503), refusal.content_type, refusal.body.size(), refusal.body);
  ::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Connection describe(Protocol::socket socket, bool is_unix) {
  Connection connection{std::move(socket), Origin::kUnix, {}};
  const int descriptor = connection.socket.native_handle();
  if (!is_unix) {
    const int yes = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    connection.origin = is_from_loopback(descriptor) ? Origin::kLoopback : Origin::kRemote;
    return connection;
  }
  auto peer = peer_of(descriptor);
  if (peer) {
    connection.peer = *std::move(peer);
  } else {
    log_warning(format("api: {}", peer.error().message()));  // nobody we know: refused by the handler
  }
  return connection;
}

}  // namespace

struct Server::Entry {
  std::shared_ptr<Session> session;
  asio::cancellation_signal cancel;
};

struct Server::Listener {
  asio::basic_socket_acceptor<Protocol> acceptor;
  bool is_unix;
  std::size_t most;
  std::list<std::shared_ptr<Entry>> entries = {};
};

Server::Server(asio::any_io_executor executor, SessionContext context)
    : executor_(std::move(executor)), context_(std::move(context)) {}

Server::~Server() = default;

Result<void> Server::listen(UniqueFd listening, bool is_unix, std::size_t most) {
  asio::basic_socket_acceptor<Protocol> acceptor(executor_);
  boost::system::error_code failed;
  acceptor.assign(Protocol(is_unix ? AF_UNIX : AF_INET, 0), listening.get(), failed);
  if (failed) return Error(Errc::kIo, format("take a listening socket: {}", failed.message()));
  static_cast<void>(listening.release());
  listeners_.push_back(Listener{std::move(acceptor), is_unix, most});
  ++coroutines_;
  asio::co_spawn(executor_, accept(listeners_.back()), asio::detached);
  return {};
}

asio::awaitable<void> Server::accept(Listener& listener) {
  constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
  while (!stopping_) {
    Protocol::socket socket(executor_);
    const auto [failed] = co_await listener.acceptor.async_accept(socket, kTuple);
    if (stopping_) break;
    if (!failed) {
      admit(listener, std::move(socket));
      continue;
    }
    // Out of descriptors, or a connection that was gone already: neither may end the listening.
    log_warning(format("api: accept a connection: {}", failed.message()));
    co_await pause_for(kAcceptPause);
  }
  if (--coroutines_ == 0) quiet_.ring();
}

void Server::admit(Listener& listener, Protocol::socket socket) {
  const auto longer_idle = [](const std::shared_ptr<Entry>& one, const std::shared_ptr<Entry>& other) {
    const auto a = one->session->idle_since();
    const auto b = other->session->idle_since();
    return a && (!b || *a < *b);
  };
  auto& entries = listener.entries;
  if (entries.size() >= listener.most) {
    const auto oldest = std::min_element(entries.begin(), entries.end(), longer_idle);
    if (oldest == entries.end() || !(*oldest)->session->idle_since()) return send_refusal(socket.native_handle());
    (*oldest)->session->finish();
  }
  auto entry = std::make_shared<Entry>();
  entry->session = make_session(describe(std::move(socket), listener.is_unix), context_);
  entries.push_back(entry);
  ++coroutines_;
  auto ending = asio::bind_cancellation_slot(entry->cancel.slot(), asio::detached);
  asio::co_spawn(executor_, serve(listener, entry), std::move(ending));
}

asio::awaitable<void> Server::serve(Listener& listener, std::shared_ptr<Entry> entry) {
  try {
    co_await entry->session->run();
  } catch (const std::exception&) {  // cancelled before it began: there is nobody to tell
    entry->session->abort();
  }
  listener.entries.remove(entry);
  if (--coroutines_ == 0) quiet_.ring();
}

asio::awaitable<void> Server::wait_until_quiet(Duration patience) {
  if (coroutines_ > 0) co_await quiet_.wait(patience);
}

asio::awaitable<void> Server::stop(Duration patience) {
  stopping_ = true;
  for (auto& listener : listeners_) {
    boost::system::error_code ignored;
    listener.acceptor.close(ignored);
    for (const auto& entry : listener.entries) entry->session->finish();
  }
  co_await wait_until_quiet(patience);
  if (coroutines_ == 0) co_return;
  log_warning(format("api: {} connections did not finish within {}", connections(), format_duration(patience)));
  for (auto& listener : listeners_) {
    for (const auto& entry : listener.entries) {
      entry->session->abort();
      entry->cancel.emit(asio::cancellation_type::terminal);
    }
  }
  co_await wait_until_quiet(kAbortPatience);
}

std::size_t Server::connections() const {
  std::size_t total = 0;
  for (const auto& listener : listeners_) total += listener.entries.size();
  return total;
}

}  // namespace buildwarden::api
