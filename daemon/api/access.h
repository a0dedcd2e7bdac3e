// Who may ask what. Each check gives the problem to answer with, or nothing.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/api/context.h"
#include "daemon/api/message.h"

namespace buildwarden::api {

// What holds for every route: the Host of a TCP request (against DNS rebinding), what may be read off loopback, that
// TCP only reads, and that a peer on the unix socket is root or of the agent group.
std::optional<Response> refuse_access(const Request& request, const ApiContext& context);

// With whom a request waits for its turn: with those of its own peer, but what other machines may ask for over TCP,
// such as the scrape, waits with those for the same path alone. By their addresses a scrape and a crowd are often one.
PeerKey turn_of(const Request& request);

// Whether a Host header ("name", "name:port", "[::1]:9847") is an IP literal, localhost, `host_name` or allowed.
bool is_allowed_host(std::string_view host, const ApiContext& context);

bool is_root(const ports::Peer& peer);

// The most that the agent group may ask for: the reclaim_to of each gating filesystem, so the least of their targets.
// Nothing while none of them could be measured.
std::optional<Bytes> reclaim_limit(const ports::DiskView& view);

}  // namespace buildwarden::api
