// How many subnets an engine has for networks, and how many are taken. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace buildwarden::policy {

// An IPv4 network, "172.17.0.0/16".
struct Subnet {
  std::uint32_t address = 0;  // of the host's byte order, its host bits zero
  int prefix = 0;             // 0-32
  friend bool operator==(const Subnet&, const Subnet&) = default;
};
// Nothing for anything else, IPv6 too.
std::optional<Subnet> parse_subnet(std::string_view text);

// `base` cut into subnets of `size` bits (daemon.json, default-address-pools).
struct AddressPool {
  Subnet base;
  int size = 0;
};

// What an engine takes that is told no pools (libnetwork's ipamutils, the same from 18.09 to 29): 31 subnets.
std::vector<AddressPool> default_address_pools();

// Each network takes one; what overlaps one otherwise (a subnet that somebody chose) takes that, too.
struct PoolCount {
  std::uint64_t total = 0;
  std::uint64_t used = 0;
  [[nodiscard]] std::uint64_t left() const { return total - used; }
};
PoolCount count_pools(const std::vector<AddressPool>& pools, const std::vector<Subnet>& taken);

}  // namespace buildwarden::policy
