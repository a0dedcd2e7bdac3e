#include "daemon/api/server_session.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "daemon/api/problem.h"
#include "daemon/api/server_faults.h"

namespace buildwarden::api {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

// Unix and TCP alike, so that Beast is instantiated once.
using Stream = beast::basic_stream<asio::generic::stream_protocol>;
using Parser = http::request_parser<http::string_body>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// What a client that we hang up on may still be sending; unread bytes would cost it the answer.
constexpr Duration kLinger = std::chrono::seconds{1};
constexpr std::size_t kMostLingering = std::size_t{256} * 1024;

class HttpSession final : public Session {
 public:
  HttpSession(Connection connection, const SessionContext& context)
      : stream_(std::move(connection.socket)),
        origin_(connection.origin),
        peer_(std::move(connection.peer)),
        context_(context) {}

  asio::awaitable<void> run() override;
  void finish() override;
  void abort() override { stream_.close(); }
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> idle_since() const override {
    return finishing_ ? std::nullopt : idle_since_;
  }

 private:
  asio::awaitable<void> converse();
  asio::awaitable<boost::system::error_code> read();
  asio::awaitable<Response> respond();
  asio::awaitable<bool> write(Response response, bool keep);
  asio::awaitable<bool> write_stream(Response response);
  asio::awaitable<void> pump(std::shared_ptr<BodyStream> body, bool chunked);
  asio::awaitable<void> watch();
  asio::awaitable<void> linger();
  Result<Request> take_request();
  template <class Message>
  void fill_head(Message& message, const Response& response) const;

  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Origin origin_;
  ports::Peer peer_;
  const SessionContext& context_;
  std::optional<std::chrono::steady_clock::time_point> idle_since_;
  bool finishing_ = false;
  bool streaming_ = false;
  bool unread_ = false;  // the client may still be sending what we do not take
};

asio::awaitable<void> HttpSession::run() {
  try {
    co_await converse();
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::operation_aborted) log_error(format("api: a connection failed: {}", error.what()));
  } catch (const std::exception& error) {
    log_error(format("api: a connection failed: {}", error.what()));
  }
  stream_.close();
}

void HttpSession::finish() {
  const bool at_once = streaming_ || idle_since_;
  finishing_ = true;
  if (at_once) stream_.close();
}

asio::awaitable<void> HttpSession::converse() {
  for (bool keep = true; keep;) {
    const auto failed = co_await read();
    if (failed) {
      auto answer = answer_to(failed, context_.limits);
      if (!answer) co_return;
      unread_ = true;
      co_await write(*std::move(answer), false);
      break;
    }
    auto response = co_await respond();
    keep = co_await write(std::move(response), parser_->get().keep_alive());
  }
  if (unread_) co_await linger();
}

asio::awaitable<boost::system::error_code> HttpSession::read() {
  parser_.emplace();
  parser_->header_limit(context_.limits.head_bytes);
  parser_->body_limit(context_.limits.body_bytes);
  idle_since_ = std::chrono::steady_clock::now();
  stream_.expires_after(context_.limits.head_within);
  const auto [no_head, head] = co_await http::async_read_header(stream_, buffer_, *parser_, kTuple);
  idle_since_.reset();
  if (no_head) co_return no_head;
  stream_.expires_after(context_.limits.body_within);
  if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto [failed, sent] = co_await asio::async_write(stream_, asio::buffer(kContinue), kTuple);
    if (failed) co_return failed;
  }
  const auto [no_body, body] = co_await http::async_read(stream_, buffer_, *parser_, kTuple);
  stream_.expires_never();
  co_return no_body;
}

Result<Request> HttpSession::take_request() {
  auto& message = parser_->get();
  auto target = parse_target(message.target());
  if (!target) return std::move(target).error();
  Request request;
  request.method = message.method_string();
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  for (const auto& field : message) request.headers.emplace_back(field.name_string(), field.value());
  request.body = std::move(message.body());
  request.peer = peer_;
  request.origin = origin_;
  return request;
}

asio::awaitable<Response> HttpSession::respond() {
  auto request = take_request();
  if (!request) co_return problem(request.error(), "bad_target");
  auto refused = check_form(*request, parser_->get().version());
  if (refused) co_return *std::move(refused);
  std::string failure;
  try {
    co_return co_await context_.handler(*std::move(request));
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;  // we are being stopped
    failure = error.what();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  log_error(format("api: {} failed: {}", std::string(parser_->get().target()), failure));
  co_return problem(500, "internal", "the request failed by a mistake of the daemon; its log has more");
}

template <class Message>
void HttpSession::fill_head(Message& message, const Response& response) const {
  message.version(parser_->get().version() == 10 ? 10 : 11);
  message.result(static_cast<unsigned>(response.status));
  message.reason(status_text(response.status));
  message.set(http::field::date, http_date(context_.clock->now().wall));
  message.set(http::field::cache_control, "no-store");
  if (response.status != 204) message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.set(name, value);
}

asio::awaitable<bool> HttpSession::write(Response response, bool keep) {
  if (response.stream) co_return co_await write_stream(std::move(response));
  http::response<http::string_body> message;
  fill_head(message, response);
  keep = keep && !finishing_;
  message.keep_alive(keep);
  message.body() = std::move(response.body);
  if (response.status != 204) message.prepare_payload();  // a 204 must not have a length
  http::response_serializer<http::string_body> serializer(message);
  stream_.expires_after(context_.limits.written_within);
  boost::system::error_code failed;
  if (parser_->get().method() == http::verb::head) {
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    co_await http::async_write_header(stream_, serializer, token);
  } else {
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    co_await http::async_write(stream_, serializer, token);
  }
  co_return keep && !failed && !finishing_;
}

asio::awaitable<bool> HttpSession::write_stream(Response response) {
  using asio::experimental::awaitable_operators::operator||;
  if (finishing_) co_return false;
  streaming_ = true;
  http::response<http::empty_body> message;
  fill_head(message, response);
  message.keep_alive(false);
  const bool chunked = message.version() == 11;
  message.chunked(chunked);
  http::response_serializer<http::empty_body> serializer(message);
  stream_.expires_after(context_.limits.written_within);
  const auto [failed, sent] = co_await http::async_write_header(stream_, serializer, kTuple);
  if (failed) co_return false;
  stream_.expires_never();
  co_await (pump(std::move(response.stream), chunked) || watch());
  co_return false;
}

asio::awaitable<void> HttpSession::pump(std::shared_ptr<BodyStream> body, bool chunked) {
  struct Hangup {  // also when next() throws: it ends watch()
    Stream& stream;
    ~Hangup() { stream.close(); }
  } const hangup{stream_};
  boost::system::error_code failed;
  for (bool more = true; more && !failed;) {
    const auto piece = co_await body->next();
    more = piece.has_value();
    std::string bytes = piece.value_or("");
    if (chunked) bytes = format("{:x}\r\n{}\r\n", bytes.size(), bytes);  // the empty one ends the body
    stream_.expires_after(context_.limits.written_within);
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    co_await asio::async_write(stream_, asio::buffer(bytes), token);
  }
}

// Until the client leaves: it has nothing more to say.
asio::awaitable<void> HttpSession::watch() {
  std::array<char, 512> ignored{};
  for (boost::system::error_code failed; !failed;) {
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    co_await stream_.async_read_some(asio::buffer(ignored), token);
  }
}

asio::awaitable<void> HttpSession::linger() {
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

std::shared_ptr<Session> make_session(Connection connection, const SessionContext& context) {
  return std::make_shared<HttpSession>(std::move(connection), context);
}

}  // namespace buildwarden::api
