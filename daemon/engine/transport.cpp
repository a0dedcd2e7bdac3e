#include "daemon/engine/transport.h"

#include <utility>

#include "common/format.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/route.h"

namespace buildwarden::engine {
namespace {

Errc meaning_of(int status) {
  switch (status) {
    case 400: return Errc::kInvalid;
    case 401:
    case 403: return Errc::kDenied;
    case 404: return Errc::kNotFound;
    case 409: return Errc::kConflict;
    default: return status >= 500 ? Errc::kUnavailable : Errc::kProtocol;
  }
}

Error refusal(int status, std::string_view body) {
  return Error(meaning_of(status), format("the engine answers {}: {}", status, decode_message(body)));
}

}  // namespace

Transport::Transport(std::string socket, WorkerPool& workers, OnCall on_call)
    : client_(std::move(socket)), workers_(workers), on_call_(std::move(on_call)) {}

void Transport::tell(const std::string& method, const std::string& route,
                     std::chrono::steady_clock::time_point began) const {
  if (on_call_) on_call_(method, route, std::chrono::steady_clock::now() - began);
}

void Transport::close(std::string reason) {
  version_.reset();
  closed_because_ = std::move(reason);
}

ports::Async<ApiVersion> Transport::ping(Duration deadline) {
  HttpRequest request;
  request.target = "/_ping";
  HttpLimits limits;
  limits.deadline = deadline;
  limits.max_body = kMiB;
  const auto began = std::chrono::steady_clock::now();
  auto response = co_await client_.send(std::move(request), limits);
  tell("GET", "/_ping", began);
  if (!response) co_return std::move(response).error();
  if (response->status != 200) co_return refusal(response->status, response->body);
  co_return choose_api_version(response->header("Api-Version"));
}

Result<HttpRequest> Transport::request_of(Call call) const {
  if (!version_) return Error(Errc::kUnavailable, closed_because_);
  HttpRequest request;
  request.method = std::move(call.method);
  request.target = format("/v{}{}", version_->text(), call.target);
  request.headers = std::move(call.headers);
  if (!call.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  if (!call.body_file.empty()) request.headers.emplace_back("Content-Type", "application/x-tar");
  request.body = std::move(call.body);
  request.body_file = std::move(call.body_file);
  return request;
}

ports::Async<HttpResponse> Transport::call(Call call) {
  const auto limits = call.limits;
  const auto method = call.method;
  const auto route = route_of(call.target);
  auto request = request_of(std::move(call));
  if (!request) co_return std::move(request).error();
  const auto began = std::chrono::steady_clock::now();
  auto response = co_await client_.send(*std::move(request), limits);
  tell(method, route, began);
  if (response && response->status >= 400) co_return refusal(response->status, response->body);
  co_return response;
}

ports::Async<std::unique_ptr<HttpStream>> Transport::stream(Call call) {
  const auto limits = call.limits;
  const auto method = call.method;
  const auto route = route_of(call.target);
  auto request = request_of(std::move(call));
  if (!request) co_return std::move(request).error();
  const auto began = std::chrono::steady_clock::now();
  auto stream = co_await client_.open(*std::move(request), limits);
  tell(method, route, began);
  if (!stream) co_return std::move(stream).error();
  const auto status = (*stream)->head().status;
  if (status < 400) co_return stream;
  auto words = co_await (*stream)->next_line(limits.deadline);
  co_return refusal(status, words ? *words : std::string());
}

}  // namespace buildwarden::engine
