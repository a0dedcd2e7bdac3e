#include "daemon/api/router.h"

#include <set>
#include <utility>

#include "common/format.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace asio = boost::asio;

namespace {

asio::awaitable<Response> answer_directly(Router::Direct handler, Request request) { co_return handler(request); }

Response not_allowed(const Request& request, const std::set<std::string>& methods) {
  std::string allow;
  for (const auto& method : methods) allow += (allow.empty() ? "" : ", ") + method;
  auto response =
      problem(405, "method_not_allowed", format("{} takes {}, not {}", request.path, allow, request.method));
  response.headers.emplace_back("Allow", allow);
  return response;
}

}  // namespace

void Router::add(std::string method, const std::string& pattern, Handler handler) {
  const auto brace = pattern.find('{');
  const bool captures = brace != std::string::npos;
  const auto suffix = captures ? pattern.substr(pattern.find('}') + 1) : std::string();
  routes_.push_back({std::move(method), pattern, pattern.substr(0, brace), suffix, captures, std::move(handler)});
}

void Router::add_direct(std::string method, const std::string& pattern, Direct handler) {
  add(std::move(method), pattern,
      [handler = std::move(handler)](Request request) { return answer_directly(handler, std::move(request)); });
}

std::vector<std::string> Router::names() const {
  std::vector<std::string> names;
  for (const auto& route : routes_) names.push_back(route.method + " " + route.pattern);
  return names;
}

bool Router::Route::matches(std::string_view path) const {
  if (!captures) return path == prefix;
  return path.size() > prefix.size() + suffix.size() && path.starts_with(prefix) && path.ends_with(suffix);
}

asio::awaitable<Response> Router::serve(Request request) const {
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  std::set<std::string> methods;
  for (const auto& route : routes_) {
    if (!route.matches(request.path)) continue;
    if (route.method == method) {
      const auto length = request.path.size() - route.prefix.size() - route.suffix.size();
      request.captured = route.captures ? request.path.substr(route.prefix.size(), length) : "";
      co_return co_await route.handler(std::move(request));
    }
    methods.insert(route.method);
    if (route.method == "GET") methods.insert("HEAD");
  }
  if (methods.empty()) co_return problem(404, "no_such_route", format("there is nothing at {}", request.path));
  co_return not_allowed(request, methods);
}

}  // namespace buildwarden::api
