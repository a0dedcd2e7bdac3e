#include "daemon/api/access.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace buildwarden::api {
namespace {

constexpr gid_t kAgents = 2000;

ApiContext context() {
  ApiContext made;
  made.agent_group = kAgents;
  made.host_name = "build-7";
  made.allowed_hosts = {"warden.example"};
  return made;
}

Request request(Origin origin, const std::string& method, const std::string& path) {
  Request made;
  made.origin = origin;
  made.method = method;
  made.path = path;
  made.headers = {{"Host", "127.0.0.1:9847"}};
  return made;
}

Request from_peer(uid_t uid, std::vector<gid_t> groups) {
  auto made = request(Origin::kUnix, "POST", "/v1/jobs");
  made.peer.local = true;
  made.peer.uid = uid;
  made.peer.groups = std::move(groups);
  return made;
}

int status_of(const Request& asked, const ApiContext& by = context()) {
  const auto refused = refuse_access(asked, by);
  return refused ? refused->status : 200;
}

TEST(Host, IsAnAddressOrAKnownName) {
  for (const auto* good : {"127.0.0.1", "10.0.0.5:9847", "[::1]:9847", "[::1]", "localhost", "LocalHost:80",
                           "localhost.", "build-7", "BUILD-7:1", "warden.example:9847"}) {
    EXPECT_TRUE(is_allowed_host(good, context())) << good;
  }
  for (const auto* bad : {"", ":80", ".", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1",
                          "[::1]x", "a.warden.example", "build-77", "127.1.evil", "0x7f000001", " localhost"}) {
    EXPECT_FALSE(is_allowed_host(bad, context())) << bad;
  }
  auto nameless = context();
  nameless.host_name = "";
  EXPECT_FALSE(is_allowed_host("", nameless));
}

TEST(Access, OtherMachinesSeeHealthAndMetricsOnly) {
  for (const auto* open : {"/metrics", "/healthz", "/readyz"}) {
    EXPECT_EQ(status_of(request(Origin::kRemote, "GET", open)), 200) << open;
  }
  for (const auto* closed : {"/v1/status", "/v1/config", "/v1/jobs", "/", "/metrics/", "/healthz/../v1/jobs"}) {
    EXPECT_EQ(status_of(request(Origin::kRemote, "GET", closed)), 403) << closed;
    EXPECT_EQ(status_of(request(Origin::kLoopback, "GET", closed)), 200) << closed;
  }
  EXPECT_EQ(status_of(request(Origin::kRemote, "POST", "/metrics")), 405);
  EXPECT_EQ(status_of(request(Origin::kLoopback, "HEAD", "/v1/status")), 200);
}

TEST(Access, OnTheUnixSocketRootAndTheAgentGroupCount) {
  EXPECT_EQ(status_of(from_peer(0, {0})), 200);
  EXPECT_EQ(status_of(from_peer(2000, {kAgents})), 200);
  EXPECT_EQ(status_of(from_peer(2001, {100, 7, kAgents})), 200);
  EXPECT_EQ(status_of(from_peer(2001, {100, 7})), 403);
  EXPECT_EQ(status_of(from_peer(2001, {})), 403);
  auto closed = context();
  closed.agent_group.reset();
  EXPECT_EQ(status_of(from_peer(2000, {kAgents}), closed), 403);
  EXPECT_EQ(status_of(from_peer(0, {0}), closed), 200);
  auto unknown = from_peer(0, {0, kAgents});
  unknown.peer.local = false;  // the kernel did not say who it is
  EXPECT_EQ(status_of(unknown), 403);
}

TEST(Turn, AScrapeWaitsForItsLikeAlone) {
  auto asked = request(Origin::kLoopback, "GET", "/metrics");
  asked.from = PeerKey{"loopback"};
  EXPECT_NE(turn_of(asked), asked.from);
  const auto scrape = turn_of(asked);
  asked.path = "/healthz";
  EXPECT_NE(turn_of(asked), scrape);
  asked.path = "/v1/status";
  EXPECT_EQ(turn_of(asked), asked.from);
  auto job = from_peer(2000, {kAgents});
  job.path = "/metrics";
  job.from = PeerKey::of_uid(2000);
  EXPECT_EQ(turn_of(job), job.from);
}

ports::FilesystemSnapshot filesystem(bool gate, Bytes target, bool measured) {
  ports::FilesystemSnapshot made;
  made.gate = gate;
  made.marks.target = target;
  if (measured) made.reading = policy::Reading{};
  return made;
}

TEST(ReclaimLimit, IsTheLeastTargetOfTheGatingOnes) {
  EXPECT_EQ(reclaim_limit({}), std::nullopt);
  ports::DiskView view;
  view.filesystems = {filesystem(false, 1, true), filesystem(true, 30, true), filesystem(true, 20, true),
                      filesystem(true, 0, false)};
  EXPECT_EQ(reclaim_limit(view), 20);
  view.filesystems = {filesystem(true, 0, false), filesystem(false, 5, true)};
  EXPECT_EQ(reclaim_limit(view), std::nullopt);
}

}  // namespace
}  // namespace buildwarden::api
