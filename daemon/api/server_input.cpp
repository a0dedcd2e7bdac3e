#include "daemon/api/server_input.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <string_view>

namespace buildwarden::api {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr auto kReadTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPiece = 4096;  // bytes asked for at once
constexpr std::string_view kHeadEnd = "\r\n\r\n";

error_code ended(const error_code& failed, bool has_begun) {
  if (failed != asio::error::eof) return failed;
  return has_begun ? make_error_code(http::error::partial_message) : make_error_code(http::error::end_of_stream);
}

// A method begins with none of these: TLS does, and is told at once that this is none.
bool begins_no_method(char c) { return c <= ' ' || c > '~'; }

}  // namespace

RequestInput::RequestInput(Stream& stream, std::size_t most) : stream_(stream), buffer_(most) { parser_.emplace(); }

asio::awaitable<error_code> RequestInput::wait() {
  const auto failed = co_await fill();
  co_return ended(failed, false);
}

asio::awaitable<error_code> RequestInput::read_head() {
  parser_.emplace();
  searched_ = 0;
  for (;;) {
    if (const auto length = head_length()) co_return parse(*length);
    if (buffer_.size() > 0 && begins_no_method(*static_cast<const char*>(buffer_.data().data()))) {
      co_return make_error_code(http::error::bad_method);
    }
    if (buffer_.size() >= buffer_.max_size()) co_return make_error_code(http::error::header_limit);
    const auto failed = co_await fill();
    if (failed) co_return ended(failed, has_begun());
  }
}

std::optional<std::size_t> RequestInput::head_length() {
  const std::string_view bytes(static_cast<const char*>(buffer_.data().data()), buffer_.size());
  const auto at = bytes.find(kHeadEnd, searched_);
  if (at != std::string_view::npos) return at + kHeadEnd.size();
  searched_ = bytes.size() - std::min(bytes.size(), kHeadEnd.size() - 1);
  return std::nullopt;
}

error_code RequestInput::parse(std::size_t length) {
  error_code failed;
  parser_->header_limit(static_cast<std::uint32_t>(length) + 1);  // counted already
  parser_->body_limit(boost::none);                               // who takes the body compares its length
  parser_->put(asio::buffer(buffer_.data(), length), failed);
  buffer_.consume(length);
  if (failed == http::error::need_more) return make_error_code(http::error::bad_value);  // its lines end elsewhere
  return failed;
}

asio::awaitable<error_code> RequestInput::fill() {
  const auto room = buffer_.prepare(std::min(kPiece, buffer_.max_size() - buffer_.size()));
  // What is there already is taken in this turn of the loop: a request that came with its connection waits for no
  // other.
  error_code failed;
  auto count = stream_.socket().read_some(room, failed);
  if (failed == asio::error::would_block) {
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    count = co_await stream_.async_read_some(room, token);
  }
  buffer_.commit(count);
  co_return failed;
}

asio::awaitable<error_code> RequestInput::read_body(std::string& body, std::size_t length) {
  const auto ahead = std::min(length, buffer_.size());
  body.assign(static_cast<const char*>(buffer_.data().data()), ahead);
  buffer_.consume(ahead);
  while (body.size() < length) {
    const auto had = body.size();
    body.resize(had + std::min(kPiece, length - had));
    const auto room = asio::buffer(body.data() + had, body.size() - had);
    const auto [failed, count] = co_await stream_.async_read_some(room, kReadTuple);
    body.resize(had + count);
    if (failed) co_return ended(failed, true);
  }
  co_return error_code();
}

}  // namespace buildwarden::api
