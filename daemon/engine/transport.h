// Calls to the engine in the negotiated version, and what their failures mean.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client.h"
#include "common/result.h"
#include "common/worker.h"
#include "daemon/engine/api_version.h"
#include "daemon/ports/engine.h"

namespace buildwarden::engine {

struct Call {
  std::string method = "GET";
  std::string target;     // without the version: "/images/json?all=1"
  std::string body;       // JSON
  std::string body_file;  // instead: a tar archive
  HttpHeaders headers;
  HttpLimits limits;
};

// Told of each answer, and of each failure to get one: the method, the route (see route.h), how long it took. Of a
// stream: until it began.
using OnCall = std::function<void(const std::string& method, const std::string& route, std::chrono::duration<double>)>;

class Transport {
 public:
  // `workers` lives longer: answers above 256 KiB are parsed there.
  Transport(std::string socket, WorkerPool& workers, OnCall on_call);

  // Asks the engine whether it lives and what it speaks; works at any time.
  ports::Async<ApiVersion> ping(Duration deadline);

  // From now on calls go out in `version`.
  void open(ApiVersion version) { version_ = version; }
  // From now on calls fail at once with kUnavailable and this reason.
  void close(std::string reason);
  // Nothing while closed.
  [[nodiscard]] std::optional<ApiVersion> version() const { return version_; }

  // Any answer below 400. Answers from 400 on are errors with the engine's words: kInvalid 400, kDenied 401 and 403,
  // kNotFound 404, kConflict 409, kUnavailable for what the engine says of itself (5xx), else kProtocol.
  ports::Async<HttpResponse> call(Call call);
  ports::Async<std::unique_ptr<HttpStream>> stream(Call call);

  // call(), and its answer's body through `decode`, a pure function.
  template <class T>
  ports::Async<T> ask(Call request, Result<T> (*decode)(std::string_view)) {
    auto response = co_await call(std::move(request));
    if (!response) co_return std::move(response).error();
    if (response->body.size() <= kInlineBody) co_return decode(response->body);
    auto text = std::make_shared<std::string>(std::move(response->body));
    std::function<Result<T>()> work = [text, decode] {
      const auto taken = std::move(*text);  // freed there and not on the loop, which tens of megabytes would keep
      return decode(taken);
    };
    co_return co_await workers_.compute<T>(work, kParseDeadline);
  }

 private:
  static constexpr std::size_t kInlineBody = 262'144;
  static constexpr Duration kParseDeadline = std::chrono::seconds{30};

  [[nodiscard]] Result<HttpRequest> request_of(Call call) const;

  // Since `began`.
  void tell(const std::string& method, const std::string& route, std::chrono::steady_clock::time_point began) const;

  HttpClient client_;
  WorkerPool& workers_;
  OnCall on_call_;
  std::optional<ApiVersion> version_;
  std::string closed_because_ = "the engine was not asked yet";
};

}  // namespace buildwarden::engine
