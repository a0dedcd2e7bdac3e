// Reads one HTTP answer from a connection, piece by piece. Internal to common/http_*.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "common/http_client.h"
#include "common/http_connection.h"

namespace buildwarden {

class HttpAnswer {
 public:
  // `connection` lives longer. `max_body`: kTooLarge beyond it; nothing = no bound (the body is taken as it comes).
  // `without_body`: the answer to HEAD.
  HttpAnswer(HttpConnection& connection, std::optional<Bytes> max_body, bool without_body);
  ~HttpAnswer();

  // kUnavailable: the connection broke before the end; kTooLarge; kProtocol: not HTTP/1.x.
  boost::asio::awaitable<Result<void>> read_head();
  // Waits for one more piece of the body; it is then in body(). False: the body is complete.
  boost::asio::awaitable<Result<bool>> read_some();

  // Status and headers, after read_head(); its body is empty.
  [[nodiscard]] HttpResponse head() const;
  // What has come of the body and was not taken yet.
  [[nodiscard]] std::string& body();

 private:
  struct State;
  Result<void> parse(bool ended);
  std::unique_ptr<State> state_;
};

}  // namespace buildwarden
