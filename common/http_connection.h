// One connection of the HTTP client, with a deadline on whatever waits. Internal to common/http_*.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

// Every wait is a single socket operation, so that one that was ended by the deadline has moved no byte and the
// connection can be used on after a new expire_after().
class HttpConnection {
 public:
  explicit HttpConnection(const boost::asio::any_io_executor& executor);
  ~HttpConnection();  // closes; a deadline still running does nothing
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // All that waits, now and later, ends with kTimeout `delay` from now, until this is called again.
  void expire_after(Duration delay);

  // To a unix socket's path, or to `http://ADDRESS[:PORT]` with an address in figures. kUnavailable: nobody listens
  // there; kDenied: not ours to use; kInvalid: neither of the two.
  boost::asio::awaitable<Result<void>> connect(std::string where);
  // All of `bytes`, which must live until then. kUnavailable: the other side is gone.
  boost::asio::awaitable<Result<void>> write(std::string_view bytes);
  // What one read gives; 0: the other side ended. kUnavailable: it broke off.
  boost::asio::awaitable<Result<std::size_t>> read(boost::asio::mutable_buffer into);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace buildwarden
