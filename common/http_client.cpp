#include "common/http_client.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cctype>
#include <optional>
#include <utility>

#include "common/http_answer.h"
#include "common/http_connection.h"
#include "common/http_request.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

constexpr Bytes kMaxLine = kMiB;

bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

class LineStream final : public HttpStream {
 public:
  explicit LineStream(const asio::any_io_executor& executor) : connection_(executor) {}

  asio::awaitable<Result<void>> start(std::string path, HttpRequest request, Duration deadline) {
    connection_.expire_after(deadline);
    auto sent = co_await send_request(connection_, std::move(path), std::move(request), deadline);
    if (!sent) co_return sent;
    auto answered = co_await answer_.read_head();
    if (!answered) co_return answered;
    head_ = answer_.head();
    co_return Result<void>{};
  }

  [[nodiscard]] const HttpResponse& head() const override { return head_; }

  asio::awaitable<Result<std::string>> next_line(Duration idle) override {
    if (auto line = take_line()) co_return std::move(*line);
    connection_.expire_after(idle);
    while (static_cast<Bytes>(answer_.body().size()) <= kMaxLine) {
      auto more = co_await answer_.read_some();
      if (!more) co_return std::move(more).error();
      if (auto line = take_line()) co_return std::move(*line);
      if (*more) continue;
      complete_ = true;
      searched_ = 0;
      if (!answer_.body().empty()) co_return std::exchange(answer_.body(), std::string());
      co_return Error(Errc::kUnavailable, "the other side ended the stream");
    }
    co_return Error(Errc::kTooLarge, "a line of the stream is longer than 1 MiB");
  }

  [[nodiscard]] bool complete() const override { return complete_; }

 private:
  std::optional<std::string> take_line() {
    auto& body = answer_.body();
    const auto end = body.find('\n', searched_);
    searched_ = body.size();
    if (end == std::string::npos) return std::nullopt;
    auto line = body.substr(0, end);
    body.erase(0, end + 1);
    searched_ = 0;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
  }

  HttpConnection connection_;
  HttpAnswer answer_{connection_, std::nullopt, false};
  HttpResponse head_;
  std::size_t searched_ = 0;  // no newline before this
  bool complete_ = false;
};

}  // namespace

std::string HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (std::equal(key.begin(), key.end(), name.begin(), name.end(), same_letter)) return value;
  }
  return {};
}

HttpClient::HttpClient(std::string socket_path) : socket_path_(std::move(socket_path)) {}

asio::awaitable<Result<HttpResponse>> HttpClient::send(HttpRequest request, HttpLimits limits) const {
  const auto executor = co_await asio::this_coro::executor;
  HttpConnection connection(executor);
  connection.expire_after(limits.deadline);
  const auto without_body = request.method == "HEAD";
  auto sent = co_await send_request(connection, socket_path_, std::move(request), limits.deadline);
  if (!sent) co_return std::move(sent).error();
  HttpAnswer answer(connection, limits.max_body, without_body);
  auto more = co_await answer.read_some();
  while (more && *more) more = co_await answer.read_some();
  if (!more) co_return std::move(more).error();
  auto response = answer.head();
  response.body = std::move(answer.body());
  co_return response;
}

asio::awaitable<Result<std::unique_ptr<HttpStream>>> HttpClient::open(HttpRequest request, HttpLimits limits) const {
  const auto executor = co_await asio::this_coro::executor;
  auto stream = std::make_unique<LineStream>(executor);
  auto started = co_await stream->start(socket_path_, std::move(request), limits.deadline);
  if (!started) co_return std::move(started).error();
  co_return std::unique_ptr<HttpStream>(std::move(stream));
}

}  // namespace buildwarden
