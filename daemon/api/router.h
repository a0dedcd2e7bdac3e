// From a request to its handler.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/message.h"

namespace buildwarden::api {

class Router {
 public:
  // `pattern` is a path; one segment of it may be "{name}", and what stands there is what the handler finds in
  // Request::captured; as the last one it matches the whole rest. GET serves HEAD, too. After "?" stand the names of
  // the parameters that it knows, with commas between; below /v1/ any other one is refused (400), since who mistypes a
  // name must not take the answer to another question for that to his.
  void add(std::string method, const std::string& pattern, Handler handler);

  // A handler that has its answer at once.
  using Direct = std::function<Response(const Request&)>;
  void add_direct(std::string method, const std::string& pattern, Direct handler);

  // Every route as "GET /v1/jobs/{id}" or, with its parameters, "GET /v1/operations/{id}?wait", in the order in which
  // they were added.
  [[nodiscard]] std::vector<std::string> names() const;

  // 404 for a path that no pattern matches, 405 with Allow for another method. OPTIONS: 204 with Allow, of what this
  // peer could ask for: over TCP only reads.
  boost::asio::awaitable<Response> serve(Request request) const;

 private:
  struct Route {
    std::string method;
    std::string pattern;
    std::string prefix;  // the pattern, or what is before "{"
    std::string suffix;  // what is after "}"
    bool captures = false;
    std::vector<std::string> parameters;
    Handler handler;
    [[nodiscard]] bool matches(std::string_view path) const;
  };
  [[nodiscard]] std::set<std::string> methods_of(const Request& request) const;

  std::vector<Route> routes_;
};

}  // namespace buildwarden::api
