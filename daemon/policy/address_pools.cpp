#include "daemon/policy/address_pools.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace buildwarden::policy {
namespace {

constexpr int kAddressBits = 32;

std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t most) {
  std::uint32_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end || number > most) return std::nullopt;
  return number;
}

std::optional<std::uint32_t> parse_address(std::string_view text) {
  std::uint32_t address = 0;
  for (int part = 0; part < 4; ++part) {
    const auto dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) return std::nullopt;
    const auto number = parse_number(text.substr(0, dot), 255);
    if (!number) return std::nullopt;
    address = address << 8U | *number;
    text.remove_prefix(part == 3 ? text.size() : dot + 1);
  }
  return address;
}

std::uint64_t size_of(int prefix) { return std::uint64_t{1} << static_cast<unsigned>(kAddressBits - prefix); }

// The first and the last subnet of the pool that it overlaps; nothing when it lies elsewhere.
std::optional<std::pair<std::uint64_t, std::uint64_t>> overlap(const AddressPool& pool, const Subnet& taken) {
  const std::uint64_t begin = std::max(pool.base.address, taken.address);
  const auto end = std::min(pool.base.address + size_of(pool.base.prefix), taken.address + size_of(taken.prefix));
  if (begin >= end) return std::nullopt;
  const auto each = size_of(pool.size);
  return std::pair{(begin - pool.base.address) / each, (end - 1 - pool.base.address) / each};
}

}  // namespace

std::optional<Subnet> parse_subnet(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const auto prefix = parse_number(text.substr(slash + 1), kAddressBits);
  if (!address || !prefix) return std::nullopt;
  Subnet subnet;
  subnet.prefix = static_cast<int>(*prefix);
  subnet.address = static_cast<std::uint32_t>(*address / size_of(subnet.prefix) * size_of(subnet.prefix));
  return subnet;
}

std::vector<AddressPool> default_address_pools() {
  const auto at = [](std::uint32_t first, std::uint32_t second) { return first << 24U | second << 16U; };
  return {{{at(172, 17), 16}, 16}, {{at(172, 18), 16}, 16}, {{at(172, 19), 16}, 16}, {{at(172, 20), 14}, 16},
          {{at(172, 24), 14}, 16}, {{at(172, 28), 14}, 16}, {{at(192, 168), 16}, 20}};
}

PoolCount count_pools(const std::vector<AddressPool>& pools, const std::vector<Subnet>& taken) {
  PoolCount count;
  for (const auto& pool : pools) {
    const auto bits = pool.size - pool.base.prefix;
    if (pool.size > kAddressBits || bits < 0) continue;
    count.total += std::uint64_t{1} << static_cast<unsigned>(bits);
    std::set<std::uint64_t> used;
    for (const auto& one : taken) {
      const auto range = overlap(pool, one);
      if (!range) continue;
      for (auto index = range->first; index <= range->second; ++index) used.insert(index);
    }
    count.used += used.size();
  }
  return count;
}

}  // namespace buildwarden::policy
