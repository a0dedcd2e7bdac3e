#include "daemon/api/router.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "common/format.h"
#include "common/text_list.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace asio = boost::asio;

namespace {

asio::awaitable<Response> answer_directly(Router::Direct handler, Request request) { co_return handler(request); }

std::string listed(const std::set<std::string>& methods) {
  std::string list;
  for (const auto& method : methods) list += (list.empty() ? "" : ", ") + method;
  return list;
}

Response allowed(const std::set<std::string>& methods) {
  Response response;
  response.status = 204;
  response.headers.emplace_back("Allow", listed(methods));
  return response;
}

Response not_allowed(const Request& request, const std::set<std::string>& methods) {
  const auto allow = listed(methods);
  auto response =
      problem(405, "method_not_allowed", format("{} takes {}, not {}", request.path, allow, request.method));
  response.headers.emplace_back("Allow", allow);
  return response;
}

// The first parameter that is not one of `known`.
std::optional<Response> unknown_parameter(const Request& request, const std::vector<std::string>& known) {
  if (!request.path.starts_with("/v1/")) return std::nullopt;
  for (const auto& [name, value] : request.query) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const auto what = known.empty() ? std::string("none") : join(known, ", ");
    return problem(400, "bad_parameter", format("\"{}\" is no parameter of {}; it takes {}", name, request.path, what));
  }
  return std::nullopt;
}

}  // namespace

void Router::add(std::string method, const std::string& pattern, Handler handler) {
  Route route;
  const auto question = pattern.find('?');
  route.pattern = pattern.substr(0, question);
  if (question != std::string::npos) {
    route.parameters = split(std::string_view(pattern).substr(question + 1), ',');
  }
  const auto brace = route.pattern.find('{');
  route.captures = brace != std::string::npos;
  route.prefix = route.pattern.substr(0, brace);
  if (route.captures) route.suffix = route.pattern.substr(route.pattern.find('}') + 1);
  route.method = std::move(method);
  route.handler = std::move(handler);
  routes_.push_back(std::move(route));
}

void Router::add_direct(std::string method, const std::string& pattern, Direct handler) {
  add(std::move(method), pattern,
      [handler = std::move(handler)](Request request) { return answer_directly(handler, std::move(request)); });
}

std::vector<std::string> Router::names() const {
  std::vector<std::string> names;
  for (const auto& route : routes_) {
    const auto parameters = join(route.parameters, ",");
    names.push_back(route.method + " " + route.pattern + (parameters.empty() ? "" : "?" + parameters));
  }
  return names;
}

bool Router::Route::matches(std::string_view path) const {
  if (!captures) return path == prefix;
  return path.size() > prefix.size() + suffix.size() && path.starts_with(prefix) && path.ends_with(suffix);
}

std::set<std::string> Router::methods_of(const Request& request) const {
  std::set<std::string> methods;
  for (const auto& route : routes_) {
    const bool is_open = request.origin == Origin::kUnix || route.method == "GET";
    if (is_open && route.matches(request.path)) methods.insert(route.method);
  }
  if (methods.contains("GET")) methods.insert("HEAD");
  if (!methods.empty()) methods.insert("OPTIONS");
  return methods;
}

asio::awaitable<Response> Router::serve(Request request) const {
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  for (const auto& route : routes_) {
    if (route.method != method || !route.matches(request.path)) continue;
    auto refused = unknown_parameter(request, route.parameters);
    if (refused) co_return *std::move(refused);
    const auto length = request.path.size() - route.prefix.size() - route.suffix.size();
    request.captured = route.captures ? request.path.substr(route.prefix.size(), length) : "";
    auto response = co_await route.handler(std::move(request));
    response.route = route.method + " " + route.pattern;
    co_return response;
  }
  const auto methods = methods_of(request);
  if (methods.empty()) co_return problem(404, "no_such_route", format("there is nothing at {}", request.path));
  co_return method == "OPTIONS" ? allowed(methods) : not_allowed(request, methods);
}

}  // namespace buildwarden::api
