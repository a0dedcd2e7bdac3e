#include "daemon/api/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/async_event.h"
#include "common/format.h"
#include "common/log.h"
#include "common/loop_timer.h"
#include "daemon/api/problem.h"
#include "daemon/api/response_head.h"

namespace buildwarden::api {
namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;

namespace {

constexpr Duration kAcceptPause = std::chrono::milliseconds{100};
// In one turn of the loop: a client behind a crowd waits for fewer turns.
constexpr int kAcceptAtOnce = 32;
constexpr Duration kAbortPatience = std::chrono::seconds{1};

// Best effort, without waiting: the socket's buffer is empty, so all of it fits.
void send_refusal(int descriptor, WallTime now) {
  const auto refusal = problem(503, "too_many_connections", "too many connections are open; try again");
  const auto text = response_head(refusal, {11, false, now}) + refusal.body;
  ::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// A connection comes in with its first bytes, or after this many seconds without any: who sends a request at once, as a
// scrape does, is served however many others say nothing (tcp(7), TCP_DEFER_ACCEPT).
constexpr int kDeferSeconds = 5;

// Who is not known is nobody's peer: refused by the handler.
Connection describe(Protocol::socket socket, bool is_unix) {
  Connection connection{std::move(socket), is_unix ? Origin::kUnix : Origin::kRemote, {}, PeerKey{"unknown"}};
  const int descriptor = connection.socket.native_handle();
  if (is_unix) {
    auto peer = peer_of(descriptor);
    if (peer) connection.peer = *std::move(peer);
    connection.from = PeerKey::of(connection.peer);
    return connection;
  }
  const int yes = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  const auto address = address_of(descriptor);
  if (!address) return connection;
  connection.from = PeerKey::of(*address);
  if (address->is_loopback()) connection.origin = Origin::kLoopback;
  return connection;
}

}  // namespace

// What is counted outlives the server where coroutines do: those that the loop still holds when it is destroyed.
struct Server::Life {
  std::size_t coroutines = 0;
  AsyncEvent quiet;
};

struct Server::Entry {
  Entry(std::shared_ptr<Session> made, PeerKey who, PeerQuota::Place held)
      : session(std::move(made)), from(std::move(who)), place(std::move(held)) {}

  std::shared_ptr<Session> session;
  PeerKey from;
  std::optional<PeerQuota::Place> place;  // nothing: it was closed for another one, and is about to end
  asio::cancellation_signal cancel;
};

struct Server::Listener : std::enable_shared_from_this<Listener> {
  Listener(asio::basic_socket_acceptor<Protocol> open, bool on_unix, const QuotaLimits& limits)
      : acceptor(std::move(open)), is_unix(on_unix), quota(limits) {}

  asio::basic_socket_acceptor<Protocol> acceptor;
  bool is_unix;
  PeerQuota quota;
  std::list<std::shared_ptr<Entry>> entries;
};

// In this order: what is cancelled on a closed descriptor crashes (Asio of Boost 1.81, reactor_op_cancellation).
void Server::end(Entry& entry) {
  entry.cancel.emit(asio::cancellation_type::terminal);
  entry.session->abort();
}

// A coroutine is counted, and its connection listed, until it ends, however that is: also when it never begins, and
// when an exception of somebody else's takes it from the loop.
class Server::Stay {
 public:
  explicit Stay(std::shared_ptr<Life> life) : life_(std::move(life)) { ++life_->coroutines; }
  Stay(std::shared_ptr<Life> life, const std::shared_ptr<Listener>& listener, std::shared_ptr<Entry> entry)
      : Stay(std::move(life)) {
    listener_ = listener;
    entry_ = std::move(entry);
  }
  Stay(Stay&& other) noexcept = default;
  Stay& operator=(Stay&&) = delete;
  ~Stay() {
    if (!life_) return;
    if (const auto listener = listener_.lock()) listener->entries.remove(entry_);
    if (--life_->coroutines == 0) life_->quiet.notify_all();
  }

 private:
  std::shared_ptr<Life> life_;  // null: moved from
  std::weak_ptr<Listener> listener_;
  std::shared_ptr<Entry> entry_;
};

Server::Server(asio::any_io_executor executor, SessionContext context)
    : executor_(std::move(executor)),
      context_(std::move(context)),
      turns_(executor_),
      slow_readers_(context_.limits.slow_readers),
      life_(std::make_shared<Life>()) {}

Server::~Server() = default;

Result<void> Server::listen(UniqueFd listening, bool is_unix, const QuotaLimits& connections) {
  asio::basic_socket_acceptor<Protocol> acceptor(executor_);
  boost::system::error_code failed;
  acceptor.assign(Protocol(is_unix ? AF_UNIX : AF_INET, 0), listening.get(), failed);
  if (failed) return Error(Errc::kIo, format("take a listening socket: {}", failed.message()));
  const int descriptor = listening.release();
  if (!is_unix) ::setsockopt(descriptor, IPPROTO_TCP, TCP_DEFER_ACCEPT, &kDeferSeconds, sizeof(kDeferSeconds));
  acceptor.non_blocking(true, failed);
  if (failed) return Error(Errc::kIo, format("take a listening socket: {}", failed.message()));
  listeners_.push_back(std::make_shared<Listener>(std::move(acceptor), is_unix, connections));
  asio::co_spawn(executor_, accept(listeners_.back(), Stay(life_)), asio::detached);
  return {};
}

// Out of descriptors, a connection that was gone already, an exception: none may end the listening.
asio::awaitable<void> Server::accept(std::shared_ptr<Listener> listener, Stay stay) {
  while (!stopping_) {
    std::string failure;
    try {
      co_await accept_one(*listener);
    } catch (const std::exception& error) {
      failure = error.what();
    }
    if (failure.empty() || stopping_) continue;
    context_.failures->record(Failure::kAccept, failure);
    co_await sleep_for(kAcceptPause);
  }
}

asio::awaitable<void> Server::accept_one(Listener& listener) {
  Protocol::socket socket(executor_);
  co_await listener.acceptor.async_accept(socket, asio::use_awaitable);
  boost::system::error_code none_left;
  for (int more = kAcceptAtOnce; !none_left && !stopping_; --more) {
    admit(listener, std::move(socket));
    if (more == 0) co_return;
    socket = Protocol::socket(executor_);
    listener.acceptor.accept(socket, none_left);
  }
}

void Server::admit(Listener& listener, Protocol::socket socket) {
  auto connection = describe(std::move(socket), listener.is_unix);
  auto from = connection.from;
  auto place = listener.quota.take(from);
  if (!place && make_way(listener, from)) place = listener.quota.take(from);
  if (!place) {
    context_.failures->count(Failure::kRefused);
    return send_refusal(connection.socket.native_handle(), context_.clock->now().wall);
  }
  auto session = make_session(std::move(connection), context_, {turns_, slow_readers_});
  auto entry = std::make_shared<Entry>(std::move(session), std::move(from), *std::move(place));
  listener.entries.push_back(entry);
  Stay stay(life_, listener.shared_from_this(), entry);
  // The slot is used until the end of the spawning, which is later than that of the coroutine (Boost 1.81).
  const auto kept = [entry](const std::exception_ptr&) {};
  auto ending = asio::bind_cancellation_slot(entry->cancel.slot(), kept);
  asio::co_spawn(executor_, serve(entry, std::move(stay)), std::move(ending));
}

// Closes a connection so that `who` can have its place; false where all are being answered.
bool Server::make_way(Listener& listener, const PeerKey& who) {
  const auto whose = listener.quota.in_the_way_of(who);
  if (!whose) return true;
  std::shared_ptr<Entry> oldest;
  for (const auto& entry : listener.entries) {
    const auto waiting = entry->session->waiting();
    if (!waiting || !entry->place || entry->from != *whose) continue;
    if (!oldest || *waiting < *oldest->session->waiting()) oldest = entry;
  }
  if (!oldest) return false;
  oldest->place.reset();
  end(*oldest);
  context_.failures->count(Failure::kEvicted);
  return true;
}

asio::awaitable<void> Server::serve(std::shared_ptr<Entry> entry, Stay stay) {
  try {
    co_await entry->session->run();
  } catch (const std::exception&) {  // cancelled before it began: there is nobody to tell
    entry->session->abort();
  }
}

asio::awaitable<void> Server::wait_until_quiet(Duration patience) {
  if (life_->coroutines > 0) co_await life_->quiet.wait(patience);
}

asio::awaitable<void> Server::stop(Duration patience) {
  stopping_ = true;
  for (auto& listener : listeners_) {
    boost::system::error_code ignored;
    listener->acceptor.close(ignored);
    for (const auto& entry : listener->entries) entry->session->finish();
  }
  co_await wait_until_quiet(patience);
  if (life_->coroutines == 0) co_return;
  log_warning(format("api: {} connections did not finish within {}", connections(), short_duration(patience)));
  for (auto& listener : listeners_) {
    for (const auto& entry : listener->entries) {
      end(*entry);
    }
  }
  co_await wait_until_quiet(kAbortPatience);
}

std::size_t Server::connections() const {
  std::size_t total = 0;
  for (const auto& listener : listeners_) total += listener->entries.size();
  return total;
}

}  // namespace buildwarden::api
