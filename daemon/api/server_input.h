// Requests as they come off a connection, byte by byte against a bound.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstddef>
#include <optional>
#include <string>

namespace buildwarden::api {

// Unix and TCP alike, so that Beast is instantiated once.
using Stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;

// Beast's parser is given whole heads only, of a bounded size, and is called in the coroutine of the connection: what
// it throws ends that connection. Its composed operations would throw out of the loop (Boost 1.81: a trailer of 64
// KiB), and it counts neither chunk extensions, nor trailers, nor a head whose lines come one by one (issue 14). Bodies
// have the length that the head says; there are none in chunks.
class RequestInput {
 public:
  // `most`: bytes of a head, request line and empty line included. The stream outlives this; its socket is
  // non-blocking.
  RequestInput(Stream& stream, std::size_t most);

  // Until the client has sent something, or hangs up: end_of_stream.
  boost::asio::awaitable<boost::system::error_code> wait();

  // Reads the head of the next request. header_limit: it is longer than `most`; end_of_stream: the client hung up.
  boost::asio::awaitable<boost::system::error_code> read_head();

  // Of the head that was read last; of the default values when there was none.
  [[nodiscard]] const boost::beast::http::request_header<>& head() const { return parser_->get().base(); }
  [[nodiscard]] bool keep_alive() const { return parser_->is_header_done() && parser_->keep_alive(); }

  // Appends `length` bytes to `body`; it has no more room than what has come needs.
  boost::asio::awaitable<boost::system::error_code> read_body(std::string& body, std::size_t length);

  // Whether a part of a request has come.
  [[nodiscard]] bool has_begun() const { return buffer_.size() > 0; }

 private:
  [[nodiscard]] std::optional<std::size_t> head_length();
  boost::system::error_code parse(std::size_t length);
  boost::asio::awaitable<boost::system::error_code> fill();

  Stream& stream_;
  boost::beast::flat_buffer buffer_;  // the head, and what a client sends ahead
  std::size_t searched_ = 0;          // bytes of it in which no head ends
  std::optional<boost::beast::http::request_parser<boost::beast::http::empty_body>> parser_;
};

}  // namespace buildwarden::api
