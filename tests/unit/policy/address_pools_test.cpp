#include "daemon/policy/address_pools.h"

#include <gtest/gtest.h>

#include <string>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

std::string used_of(const PoolCount& count) { return format("{} of {}", count.used, count.total); }

TEST(AddressPools, OfAnEngineThatIsToldNone) {
  EXPECT_EQ(used_of(count_pools(default_address_pools(), {})), "0 of 31");
  EXPECT_EQ(
      used_of(count_pools(default_address_pools(), {*parse_subnet("172.17.0.0/16"), *parse_subnet("172.18.0.0/16"),
                                                    *parse_subnet("192.168.240.0/20"), *parse_subnet("10.0.0.0/8")})),
      "3 of 31");
}

TEST(AddressPools, ASubnetOfAnotherSizeTakesAllThatItOverlaps) {
  const std::vector<AddressPool> pools{{*parse_subnet("10.10.0.0/16"), 24}};
  EXPECT_EQ(used_of(count_pools(pools, {*parse_subnet("10.10.4.0/22")})), "4 of 256");
  EXPECT_EQ(used_of(count_pools(pools, {*parse_subnet("10.10.4.0/28"), *parse_subnet("10.10.4.16/28")})), "1 of 256");
  EXPECT_EQ(used_of(count_pools(pools, {*parse_subnet("0.0.0.0/0")})), "256 of 256");
  EXPECT_EQ(used_of(count_pools({{*parse_subnet("10.0.0.0/16"), 8}}, {})), "0 of 0") << "not a pool";
}

TEST(AddressPools, WhatIsNoSubnetIsNone) {
  for (const auto* text : {"", "10.0.0.0", "10.0.0/8", "10.0.0.0.0/8", "10.0.0.256/8", "10.0.0.0/33", "fd00::/64",
                           "10.0.0.0/", "a.b.c.d/8", "10..0.0/8"}) {
    EXPECT_FALSE(parse_subnet(text)) << text;
  }
  EXPECT_EQ(parse_subnet("10.1.2.3/8")->address, 10U << 24U);
}

}  // namespace
}  // namespace buildwarden::policy
