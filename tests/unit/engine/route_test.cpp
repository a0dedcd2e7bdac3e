#include "daemon/engine/route.h"

#include <gtest/gtest.h>

namespace buildwarden::engine {
namespace {

TEST(Route, LeavesNamesIdsAndQueriesOut) {
  EXPECT_EQ(route_of("/_ping"), "/_ping");
  EXPECT_EQ(route_of("/images/json"), "/images/json");
  EXPECT_EQ(route_of("/containers/json?all=1"), "/containers/json");
  EXPECT_EQ(route_of("/containers/abc/json?size=1"), "/containers/{}/json");
  EXPECT_EQ(route_of("/images/r.example:5000/a/b:1/json"), "/images/{}/json");
  EXPECT_EQ(route_of("/networks/abc"), "/networks/{}");
  EXPECT_EQ(route_of("/exec/0/start"), "/exec/{}/start");
  EXPECT_EQ(route_of("/system/df?type=build-cache"), "/system/df");
  EXPECT_EQ(route_of(""), "");
  EXPECT_EQ(route_of("/"), "/{}");
  EXPECT_EQ(route_of("/a/b//c"), "/{}");
}

}  // namespace
}  // namespace buildwarden::engine
