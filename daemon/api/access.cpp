#include "daemon/api/access.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "common/format.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace {

// The host without its port; empty when the text is neither.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return {};
    const auto rest = host.substr(end + 1);
    return rest.empty() || rest.starts_with(':') ? host.substr(1, end - 1) : std::string_view();
  }
  return host.substr(0, host.find(':'));
}

// OPTIONS only tells what may be asked.
bool is_read(const Request& request) {
  return request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
}

bool is_open_to_all(std::string_view path) { return path == "/metrics" || path == "/healthz" || path == "/readyz"; }

std::optional<Response> refuse_tcp(const Request& request, const ApiContext& context) {
  const auto host = request.header("Host");
  if (!is_allowed_host(host, context)) {
    return problem(403, "host_not_allowed",
                   format("the host \"{}\" is no IP address, not localhost, not this machine's name and not in "
                          "listen.allowed_hosts",
                          host.substr(0, 128)));
  }
  if (request.origin == Origin::kRemote && !is_open_to_all(request.path)) {
    return problem(403, "not_on_loopback", "other machines may only ask for /metrics, /healthz and /readyz");
  }
  if (is_read(request)) return std::nullopt;
  auto response = problem(405, "read_only", format("{} works on the unix socket only; TCP only reads", request.method));
  response.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
  return response;
}

}  // namespace

PeerKey turn_of(const Request& request) {
  const bool is_scrape = request.origin != Origin::kUnix && is_open_to_all(request.path);
  return is_scrape ? PeerKey{"over TCP: " + request.path} : request.from;
}

bool is_root(const ports::Peer& peer) { return peer.local && peer.uid == 0; }

bool is_allowed_host(std::string_view host, const ApiContext& context) {
  auto name = without_port(host);
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) return false;
  boost::system::error_code not_ip;
  boost::asio::ip::make_address(name, not_ip);
  if (!not_ip || equals_ignoring_case(name, "localhost")) return true;
  if (equals_ignoring_case(name, context.host_name)) return true;
  const auto is_name = [&](const std::string& allowed) { return equals_ignoring_case(name, allowed); };
  return std::any_of(context.allowed_hosts.begin(), context.allowed_hosts.end(), is_name);
}

std::optional<Response> refuse_access(const Request& request, const ApiContext& context) {
  if (request.origin != Origin::kUnix) return refuse_tcp(request, context);
  if (is_root(request.peer)) return std::nullopt;
  const auto& groups = request.peer.groups;
  const bool member = context.agent_group && request.peer.local &&
                      std::find(groups.begin(), groups.end(), *context.agent_group) != groups.end();
  if (member) return std::nullopt;
  return problem(403, "denied", format("uid {} is neither root nor of the agent's group", request.peer.uid));
}

std::optional<Bytes> reclaim_limit(const ports::DiskView& view) {
  std::optional<Bytes> limit;
  for (const auto& disk : view.filesystems) {
    if (!disk.gate || !disk.reading) continue;
    limit = limit ? std::min(*limit, disk.marks.target) : disk.marks.target;
  }
  return limit;
}

}  // namespace buildwarden::api
