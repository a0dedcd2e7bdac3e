#include "common/metadata.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "common/format.h"
#include "common/http_client.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

constexpr Bytes kMostOfAnAnswer = 16 * kKiB;
constexpr int kOk = 200;
constexpr int kNotFound = 404;

asio::awaitable<void> ask(const HttpClient* http, HttpRequest request, HttpLimits limits,
                          std::optional<Result<HttpResponse>>* slot) {
  auto response = co_await http->send(std::move(request), limits);
  slot->emplace(std::move(response));
}

// The body of a good answer.
Result<std::string> exchange(const std::string& url, HttpRequest request, Duration deadline) {
  const HttpClient http(url);
  HttpLimits limits;
  limits.deadline = deadline;
  limits.max_body = kMostOfAnAnswer;
  std::optional<Result<HttpResponse>> slot;
  asio::io_context loop(1);
  asio::co_spawn(loop, ask(&http, std::move(request), limits, &slot), asio::detached);
  loop.run();
  if (!slot) return Error(Errc::kIo, "the exchange broke off");
  if (!*slot) return std::move(*slot).error();
  const int status = (*slot)->status;
  if (status == kOk) return std::move((*slot)->body);
  return Error(status == kNotFound ? Errc::kNotFound : Errc::kDenied, format("{} answers {}", url, status));
}

}  // namespace

Result<std::string> metadata_token(const std::string& url, Duration deadline) {
  HttpRequest request;
  request.method = "PUT";
  request.target = "/latest/api/token";
  request.headers.emplace_back("X-aws-ec2-metadata-token-ttl-seconds", "60");
  return exchange(url, std::move(request), deadline);
}

Result<std::string> metadata_value(const std::string& url, const std::string& token, const std::string& path,
                                   Duration deadline) {
  HttpRequest request;
  request.target = path;
  request.headers.emplace_back("X-aws-ec2-metadata-token", token);
  auto value = exchange(url, std::move(request), deadline);
  while (value && value->ends_with('\n')) value->pop_back();
  return value;
}

}  // namespace buildwarden
