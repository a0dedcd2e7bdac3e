#include "daemon/api/peer_quota.h"

#include <gtest/gtest.h>

#include <vector>

namespace buildwarden::api {
namespace {

const PeerKey kRoot = PeerKey::of_uid(0);
const PeerKey kJobs = PeerKey::of_uid(2000);
const PeerKey kOthers = PeerKey::of_uid(3000);

PeerKey from(const char* address) { return PeerKey::of(boost::asio::ip::make_address(address)); }

using Places = std::vector<PeerQuota::Place>;

// As many as there are for it, at most 100.
std::size_t evict_all(PeerQuota& quota, const PeerKey& who, Places& into) {
  for (std::size_t taken = 0; taken < 100; ++taken) {
    auto place = quota.take(who);
    if (!place) return taken;
    into.push_back(*std::move(place));
  }
  return 100;
}

TEST(PeerKey, TellsPeersApart) {
  EXPECT_EQ(from("127.0.0.1"), from("127.9.9.9"));
  EXPECT_EQ(from("127.0.0.1"), from("::1"));
  EXPECT_NE(from("127.0.0.1"), from("10.0.0.5"));
  EXPECT_EQ(from("2001:db8::1"), from("2001:db8::ffff:2"));
  EXPECT_NE(from("2001:db8::1"), from("2001:db8:0:1::1"));
  ports::Peer unknown;
  unknown.uid = 0;
  EXPECT_EQ(PeerKey::of(unknown).name, "unknown");
  EXPECT_FALSE(PeerKey::of(unknown).root) << "uid 0 of nobody knows whom";
  unknown.local = true;
  EXPECT_TRUE(PeerKey::of(unknown).root);
}

TEST(PeerQuota, KeepsRootsPlacesFromEverybodyElse) {
  PeerQuota quota({10, 4, 3});
  Places held;
  EXPECT_EQ(evict_all(quota, kJobs, held), 4U) << "its share";
  EXPECT_EQ(evict_all(quota, kOthers, held), 3U) << "the rest but for root's";
  EXPECT_EQ(evict_all(quota, PeerKey{"unknown"}, held), 0U);
  EXPECT_EQ(evict_all(quota, kRoot, held), 3U);
  EXPECT_EQ(quota.taken(), 10U);
  held.clear();
  EXPECT_EQ(evict_all(quota, kRoot, held), 10U) << "root has no share";
  EXPECT_EQ(evict_all(quota, kJobs, held), 0U);
  EXPECT_EQ(quota.taken(), 10U);
}

TEST(PeerQuota, APlaceIsGivenBackOnce) {
  PeerQuota quota({2, 1, 0});
  auto place = quota.take(kJobs);
  ASSERT_TRUE(place);
  EXPECT_FALSE(quota.take(kJobs));
  {
    const PeerQuota::Place moved(*std::move(place));
    place.reset();
    EXPECT_EQ(quota.taken(), 1U);
  }
  EXPECT_EQ(quota.taken(), 0U);
  EXPECT_TRUE(quota.take(kJobs));
}

TEST(PeerQuota, APlaceMayOutliveIt) {
  std::optional<PeerQuota> quota(QuotaLimits{1, 1, 0});
  const auto place = quota->take(kJobs);
  quota.reset();
}

TEST(PeerQuota, SaysWhoIsInTheWay) {
  PeerQuota quota({6, 3, 1});
  Places held;
  EXPECT_EQ(quota.in_the_way_of(kJobs), std::nullopt);
  evict_all(quota, kJobs, held);
  EXPECT_EQ(quota.in_the_way_of(kJobs), kJobs) << "it has its share";
  EXPECT_EQ(quota.in_the_way_of(kOthers), std::nullopt);
  evict_all(quota, kOthers, held);
  EXPECT_EQ(quota.in_the_way_of(from("10.0.0.1")), kJobs) << "it has the most";
  EXPECT_EQ(quota.in_the_way_of(kRoot), std::nullopt);
  evict_all(quota, kRoot, held);
  EXPECT_EQ(quota.in_the_way_of(kRoot), kJobs) << "root goes last";
}

TEST(PeerQuota, WhereRootHasAllNobodyElseIsInTheWay) {
  PeerQuota quota({2, 2, 0});
  Places held;
  evict_all(quota, kRoot, held);
  EXPECT_EQ(quota.in_the_way_of(kRoot), kRoot);
  EXPECT_EQ(quota.in_the_way_of(kJobs), kRoot);
}

}  // namespace
}  // namespace buildwarden::api
