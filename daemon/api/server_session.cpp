#include "daemon/api/server_session.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <utility>

#include "common/format.h"
#include "daemon/api/problem.h"
#include "daemon/api/response_head.h"
#include "daemon/api/server_faults.h"
#include "daemon/api/server_input.h"

namespace buildwarden::api {
namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// What a client that we hang up on may still be sending; unread bytes would cost it the answer.
constexpr Duration kLinger = std::chrono::seconds{1};
constexpr std::size_t kMostLingering = std::size_t{256} * 1024;

// What a client that follows a stream may send in all: it has nothing to say.
constexpr std::size_t kMostWhileStreaming = std::size_t{16} * 1024;

bool is_cancelled(const std::exception& error) {
  const auto* system = dynamic_cast<const boost::system::system_error*>(&error);
  return system != nullptr && system->code() == asio::error::operation_aborted;
}

class HttpSession final : public Session {
 public:
  HttpSession(Connection connection, const SessionContext& context, const SessionShares& shares)
      : stream_(std::move(connection.socket)),
        input_(stream_, context.limits.head_bytes),
        origin_(connection.origin),
        peer_(std::move(connection.peer)),
        from_(std::move(connection.from)),
        context_(context),
        shares_(shares) {}

  asio::awaitable<void> run() override;
  void finish() override;
  void abort() override { stream_.close(); }
  [[nodiscard]] std::optional<Waiting> waiting() const override { return finishing_ ? std::nullopt : waiting_; }

 private:
  using Refusal = std::optional<Response>;

  asio::awaitable<void> converse();
  asio::awaitable<boost::system::error_code> read_head();
  asio::awaitable<boost::system::error_code> read_body(Request& request, std::size_t length);
  Result<Request> take_head() const;
  Refusal refuse(const Result<Request>& request, const BodyLength& length) const;
  asio::awaitable<bool> exchange();
  asio::awaitable<Response> respond(Request request);
  asio::awaitable<bool> give_up(boost::system::error_code failed, bool has_begun);
  asio::awaitable<bool> write(Response response, bool keep);
  asio::awaitable<bool> write_rest(std::string rest);
  asio::awaitable<bool> write_stream(Response response);
  asio::awaitable<void> follow(std::shared_ptr<BodyStream> body, bool chunked);
  asio::awaitable<void> pump(BodyStream& body, bool chunked);
  asio::awaitable<void> watch();
  asio::awaitable<void> linger();
  [[nodiscard]] std::string head_of(const Response& response, bool keep) const;
  void begin_to_wait(Waits what) { waiting_ = Waiting{what, std::chrono::steady_clock::now()}; }

  Stream stream_;
  RequestInput input_;
  Origin origin_;
  ports::Peer peer_;
  PeerKey from_;
  const SessionContext& context_;
  SessionShares shares_;
  std::optional<Waiting> waiting_;
  bool finishing_ = false;
  bool streaming_ = false;
  bool unread_ = false;  // the client may still be sending what we do not take
};

asio::awaitable<void> HttpSession::run() {
  try {
    stream_.socket().non_blocking(true);
    co_await converse();
  } catch (const std::exception& error) {
    if (!is_cancelled(error)) context_.failures->record(Failure::kConnection, error.what());
  }
  waiting_.reset();
  stream_.close();
}

void HttpSession::finish() {
  const bool at_once = streaming_ || (waiting_ && waiting_->what == Waits::kForClient);
  finishing_ = true;
  if (at_once) stream_.close();
}

asio::awaitable<void> HttpSession::converse() {
  for (bool keep = true; keep;) {
    const auto failed = co_await read_head();
    if (failed) {
      keep = co_await give_up(failed, input_.has_begun());
    } else {
      keep = co_await exchange();
    }
  }
  if (unread_) co_await linger();
}

// One request whose head is there: whether another one may follow.
asio::awaitable<bool> HttpSession::exchange() {
  const bool keep = input_.keep_alive();
  const auto length = body_length(input_.head());
  auto request = take_head();
  auto refused = refuse(request, length);
  if (refused) {
    unread_ = !length.is_known || length.bytes > 0;
    if (!length.is_known) context_.failures->count(Failure::kMalformed);
    const bool is_clear = !unread_ && refused->status != 400;  // where it ends, and what it asks for
    co_return co_await write(*std::move(refused), keep && is_clear);
  }
  const auto failed = co_await read_body(*request, length.bytes);
  if (failed) co_return co_await give_up(failed, true);
  auto response = co_await respond(*std::move(request));
  co_return co_await write(std::move(response), keep);
}

// What came is no request that can be answered; the client is told where it listens.
asio::awaitable<bool> HttpSession::give_up(boost::system::error_code failed, bool has_begun) {
  if (failed == beast::error::timeout && has_begun) context_.failures->count(Failure::kLate);
  auto answer = answer_to(failed, context_.limits);
  if (!answer) co_return false;
  context_.failures->count(Failure::kMalformed);
  unread_ = true;
  co_return co_await write(*std::move(answer), false);
}

// Idling has its own time; a request that has begun has another one, from its first byte.
asio::awaitable<boost::system::error_code> HttpSession::read_head() {
  begin_to_wait(Waits::kForClient);
  if (!input_.has_begun()) {
    stream_.expires_after(context_.limits.idle_within);
    const auto failed = co_await input_.wait();
    if (failed) {
      waiting_.reset();
      co_return failed;
    }
  }
  stream_.expires_after(context_.limits.head_within);
  const auto failed = co_await input_.read_head();
  waiting_.reset();
  co_return failed;
}

asio::awaitable<boost::system::error_code> HttpSession::read_body(Request& request, std::size_t length) {
  if (length == 0) co_return boost::system::error_code();
  stream_.expires_after(context_.limits.body_within);
  if (expects_continue(request)) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto [failed, sent] = co_await asio::async_write(stream_, asio::buffer(kContinue), kTuple);
    if (failed) co_return failed;
  }
  begin_to_wait(Waits::kForClient);
  const auto failed = co_await input_.read_body(request.body, length);
  waiting_.reset();
  co_return failed;
}

Result<Request> HttpSession::take_head() const {
  const auto& head = input_.head();
  auto target = parse_target(head.target());
  if (!target) return std::move(target).error();
  Request request;
  request.method = head.method_string();
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  for (const auto& field : head) request.headers.emplace_back(field.name_string(), field.value());
  request.peer = peer_;
  request.from = from_;
  request.origin = origin_;
  return request;
}

HttpSession::Refusal HttpSession::refuse(const Result<Request>& request, const BodyLength& length) const {
  if (!length.is_known) return length_problem(length);
  if (!request) return problem(request.error(), "bad_target");
  if (auto refused = check_form(*request, input_.head().version())) return refused;
  if (auto refused = context_.refuse(*request)) return refused;
  const auto most = origin_ == Origin::kUnix ? context_.limits.body_bytes : 0;
  return length.bytes > most ? std::optional(body_too_large(most)) : std::nullopt;
}

asio::awaitable<Response> HttpSession::respond(Request request) {
  const auto asked = format("{} {}", request.method, request.path.substr(0, 128));
  std::string failure;
  begin_to_wait(Waits::kForTurn);
  const bool may = co_await shares_.turns.wait(context_.turn_of(request));
  waiting_.reset();
  if (!may) throw boost::system::system_error(asio::error::operation_aborted);
  try {
    co_return co_await context_.handler(std::move(request));
  } catch (const std::exception& error) {
    if (is_cancelled(error)) throw;  // we are being stopped
    failure = error.what();
  }
  context_.failures->record(Failure::kHandler, format("{}: {}", asked, failure));
  co_return problem(500, "internal", "the request failed by a mistake of the daemon; its log has more");
}

std::string HttpSession::head_of(const Response& response, bool keep) const {
  const HeadOptions options{input_.head().version() == 10 ? 10U : 11U, keep, context_.clock->now().wall};
  return response_head(response, options);
}

// What the client's socket takes at once costs nothing more. Beyond that the answer waits in our memory, so places for
// that are counted.
asio::awaitable<bool> HttpSession::write(Response response, bool keep) {
  if (response.stream) co_return co_await write_stream(std::move(response));
  keep = keep && !finishing_;
  const auto head = head_of(response, keep);
  const bool has_body = input_.head().method_string() != "HEAD" && response.status != 204 && response.status != 304;
  const std::string_view body = has_body ? std::string_view(response.body) : std::string_view();
  const std::array parts = {asio::buffer(head), asio::buffer(body.data(), body.size())};
  boost::system::error_code failed;
  const auto sent = stream_.socket().write_some(parts, failed);
  if (failed && failed != asio::error::would_block) co_return false;
  if (sent == head.size() + body.size()) co_return keep && !finishing_;
  std::string rest = sent < head.size() ? head.substr(sent) : std::string();
  rest += body.substr(sent < head.size() ? 0 : sent - head.size());
  response.body = std::string();
  const bool taken = co_await write_rest(std::move(rest));
  co_return taken&& keep && !finishing_;
}

asio::awaitable<bool> HttpSession::write_rest(std::string rest) {
  const auto place = shares_.slow_readers.take(from_);
  if (!place) {
    context_.failures->count(Failure::kSlowReader);
    co_return false;
  }
  stream_.expires_after(context_.limits.written_within);
  const auto [failed, sent] = co_await asio::async_write(stream_, asio::buffer(rest), kTuple);
  if (failed == beast::error::timeout) context_.failures->count(Failure::kLate);
  co_return !failed;
}

asio::awaitable<bool> HttpSession::write_stream(Response response) {
  using asio::experimental::awaitable_operators::operator||;
  if (finishing_) co_return false;
  streaming_ = true;
  const auto head = head_of(response, false);
  stream_.expires_after(context_.limits.written_within);
  const auto [failed, sent] = co_await asio::async_write(stream_, asio::buffer(head), kTuple);
  if (failed) co_return false;
  stream_.expires_never();
  co_await (follow(std::move(response.stream), input_.head().version() == 11) || watch());
  co_return false;
}

// What it throws would be lost: watch() ends well all the same.
asio::awaitable<void> HttpSession::follow(std::shared_ptr<BodyStream> body, bool chunked) {
  struct Hangup {  // ends watch()
    Stream& stream;
    ~Hangup() { stream.close(); }
  } const hangup{stream_};
  try {
    co_await pump(*body, chunked);
  } catch (const std::exception& error) {
    if (!is_cancelled(error)) context_.failures->record(Failure::kConnection, error.what());
  }
}

asio::awaitable<void> HttpSession::pump(BodyStream& body, bool chunked) {
  boost::system::error_code failed;
  for (bool more = true; more && !failed;) {
    const auto piece = co_await body.next();
    more = piece.has_value();
    std::string bytes = piece.value_or("");
    if (chunked) bytes = format("{:x}\r\n{}\r\n", bytes.size(), bytes);  // the empty one ends the body
    stream_.expires_after(context_.limits.written_within);
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    co_await asio::async_write(stream_, asio::buffer(bytes), token);
  }
}

// Until the client leaves, or talks all the same.
asio::awaitable<void> HttpSession::watch() {
  std::array<char, 512> ignored{};
  boost::system::error_code failed;
  for (std::size_t total = 0; !failed && total < kMostWhileStreaming;) {
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    total += co_await stream_.async_read_some(asio::buffer(ignored), token);
  }
}

asio::awaitable<void> HttpSession::linger() {
  begin_to_wait(Waits::kForClient);
  boost::system::error_code failed;
  stream_.socket().shutdown(asio::socket_base::shutdown_send, failed);
  stream_.expires_after(kLinger);
  std::array<char, 4096> ignored{};
  for (std::size_t total = 0; !failed && total < kMostLingering;) {
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    total += co_await stream_.async_read_some(asio::buffer(ignored), token);
  }
}

}  // namespace

std::shared_ptr<Session> make_session(Connection connection, const SessionContext& context,
                                      const SessionShares& shares) {
  return std::make_shared<HttpSession>(std::move(connection), context, shares);
}

}  // namespace buildwarden::api
