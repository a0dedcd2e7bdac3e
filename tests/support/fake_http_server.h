// A scripted HTTP server on a unix socket, on the test's own loop: it answers what it was told, late, half, wrong or
// not at all, and remembers what it was asked.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace buildwarden::testing {

struct FakeRequest {
  std::string line;  // "GET /_ping HTTP/1.1"
  std::string head;  // with the line
  std::string body;

  // "GET /v1.45/images/json?all=1"
  [[nodiscard]] std::string what() const { return line.substr(0, line.rfind(' ')); }
};

struct FakeAnswer {
  enum class Then { kClose, kHold, kRepeat };
  std::string bytes;         // sent as they are
  Then then = Then::kClose;  // kHold: the connection stays open for push() and drop(); kRepeat: `bytes` without end
  bool early = false;        // before the request's body is read, which is never read then

  static FakeAnswer raw(std::string bytes, Then then = Then::kClose) { return {std::move(bytes), then}; }
  static FakeAnswer json(int status, const std::string& body, const std::string& headers = "") {
    return raw("HTTP/1.1 " + std::to_string(status) + " Fake\r\nContent-Type: application/json\r\n" + headers +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  // A head and then nothing: the stream that push() feeds.
  static FakeAnswer stream() { return raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", Then::kHold); }
  static FakeAnswer hang() { return raw("", Then::kHold); }
};

// Lives as long as the loop runs; stop() ends all its coroutines.
class FakeHttpServer {
 public:
  explicit FakeHttpServer(boost::asio::io_context& loop) : loop_(loop) {
    std::string pattern = "/tmp/bw-fake-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    listen();
  }
  ~FakeHttpServer() {
    stop();
    ::unlink(path().c_str());
    ::rmdir(folder_.c_str());
  }
  FakeHttpServer(const FakeHttpServer&) = delete;
  FakeHttpServer& operator=(const FakeHttpServer&) = delete;

  [[nodiscard]] std::string path() const { return folder_ + "/s"; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

  // What requests that begin so ("GET /_ping") get: each answer once, the last one for ever. The longest match counts;
  // without one it is 404.
  void on(const std::string& beginning, FakeAnswer answer) { script_[beginning].push_back(std::move(answer)); }
  // From now on every connection is closed with its request unread: the other side sees a reset.
  void reset_all(bool reset = true) { resetting_ = reset; }
  // Forgets what was said about it before.
  void replace(const std::string& beginning, FakeAnswer answer) {
    script_[beginning].clear();
    on(beginning, std::move(answer));
  }

  // Bytes for every held connection that asked so; how many there are.
  int push(std::string_view beginning, const std::string& bytes) {
    int sent = 0;
    for (const auto& held : held_) {
      if (!held->request.what().starts_with(beginning)) continue;
      boost::system::error_code ec;
      boost::asio::write(held->socket, boost::asio::buffer(bytes), ec);
      if (!ec) ++sent;
    }
    return sent;
  }
  // Closes them.
  void drop(std::string_view beginning) {
    std::erase_if(held_, [&](const auto& held) { return held->request.what().starts_with(beginning); });
  }
  [[nodiscard]] int held(std::string_view beginning) const {
    return static_cast<int>(std::count_if(held_.begin(), held_.end(), [&](const auto& connection) {
      return connection->request.what().starts_with(beginning);
    }));
  }

  // Stops listening and closes everything, as a killed engine does; the socket's file stays.
  void stop() {
    boost::system::error_code ignored;
    if (acceptor_) acceptor_->close(ignored);
    acceptor_.reset();
    held_.clear();
  }
  void listen() {
    ::unlink(path().c_str());
    acceptor_ = std::make_shared<Acceptor>(loop_, boost::asio::local::stream_protocol::endpoint(path()));
    boost::asio::co_spawn(loop_, accept(acceptor_), boost::asio::detached);
  }

  [[nodiscard]] const std::vector<FakeRequest>& requests() const { return requests_; }
  // The last that began so.
  [[nodiscard]] std::optional<FakeRequest> last(std::string_view beginning) const {
    for (auto request = requests_.rbegin(); request != requests_.rend(); ++request) {
      if (request->what().starts_with(beginning)) return *request;
    }
    return std::nullopt;
  }
  [[nodiscard]] int count(std::string_view beginning) const {
    return static_cast<int>(std::count_if(requests_.begin(), requests_.end(),
                                          [&](const auto& request) { return request.what().starts_with(beginning); }));
  }

 private:
  using Socket = boost::asio::local::stream_protocol::socket;
  using Acceptor = boost::asio::local::stream_protocol::acceptor;
  static constexpr auto kUse = boost::asio::as_tuple(boost::asio::use_awaitable);

  struct Connection {
    explicit Connection(Socket from) : socket(std::move(from)) {}
    Socket socket;
    FakeRequest request;
  };

  boost::asio::awaitable<void> accept(std::shared_ptr<Acceptor> acceptor) {
    while (acceptor->is_open()) {
      auto [ec, socket] = co_await acceptor->async_accept(kUse);
      if (ec) co_return;
      auto connection = std::make_shared<Connection>(std::move(socket));
      boost::asio::co_spawn(loop_, serve(connection), boost::asio::detached);
    }
  }

  boost::asio::awaitable<void> serve(std::shared_ptr<Connection> connection) {
    if (resetting_) co_await connection->socket.async_wait(Socket::wait_read, kUse);
    if (resetting_) co_return;
    std::string text;
    auto buffer = boost::asio::dynamic_buffer(text);
    auto [failed, size] = co_await boost::asio::async_read_until(connection->socket, buffer, "\r\n\r\n", kUse);
    if (failed) co_return;
    connection->request.head = text.substr(0, size);
    connection->request.line = text.substr(0, text.find("\r\n"));
    connection->request.body = text.substr(size);
    const auto answer = answer_to(connection->request.what());
    if (!answer.early) co_await read_body(connection);
    requests_.push_back(connection->request);
    const auto bytes = boost::asio::buffer(answer.bytes);
    auto [ec, sent] = co_await boost::asio::async_write(connection->socket, bytes, kUse);
    while (!ec && answer.then == FakeAnswer::Then::kRepeat) {
      std::tie(ec, sent) = co_await boost::asio::async_write(connection->socket, bytes, kUse);
    }
    if (!ec && answer.then == FakeAnswer::Then::kHold) held_.push_back(connection);
  }

  boost::asio::awaitable<void> read_body(std::shared_ptr<Connection> connection) {
    auto& request = connection->request;
    const auto length = request.head.find("Content-Length: ");
    if (length == std::string::npos) co_return;
    const auto had = request.body.size();
    const auto want = static_cast<std::size_t>(std::atoll(request.head.c_str() + length + 16));
    request.body.resize(std::max(want, had));
    const auto rest = boost::asio::buffer(request.body.data() + had, request.body.size() - had);
    auto [ec, got] = co_await boost::asio::async_read(connection->socket, rest, kUse);
    if (ec) request.body.resize(had + got);
  }

  std::deque<FakeAnswer>* script_for(std::string_view what) {
    std::deque<FakeAnswer>* found = nullptr;
    std::size_t longest = 0;
    for (auto& [beginning, answers] : script_) {
      if (!what.starts_with(beginning) || beginning.size() < longest || answers.empty()) continue;
      found = &answers;
      longest = beginning.size();
    }
    return found;
  }

  FakeAnswer answer_to(std::string_view what) {
    auto* answers = script_for(what);
    if (answers == nullptr) return FakeAnswer::json(404, R"({"message":"the fake was not told"})");
    auto answer = answers->front();
    if (answers->size() > 1) answers->pop_front();
    return answer;
  }

  boost::asio::io_context& loop_;
  std::string folder_;
  std::shared_ptr<Acceptor> acceptor_;
  std::map<std::string, std::deque<FakeAnswer>> script_;
  std::vector<std::shared_ptr<Connection>> held_;
  std::vector<FakeRequest> requests_;
  bool resetting_ = false;
};

}  // namespace buildwarden::testing
