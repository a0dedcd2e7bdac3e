// Builders over HTTP: who may have one made anew, and what it is answered.
#include <gmock/gmock.h>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using ::testing::HasSubstr;

class BuildersRoute : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    if (::getuid() != 0) GTEST_SKIP() << "the peer must be root";
    views.builders.builders.resize(1);
    views.builders.builders[0].name = "s3";
  }
};

TEST_F(BuildersRoute, MakesOneAnewForRoot) {
  ports::Recreated made;
  made.steps = {"remove buildwarden_s3", "create buildwarden_s3"};
  made.reason = "it was asked for";
  made.rule = "asked";
  made.took = Duration{1500};
  builder_control.result = made;
  start();
  const auto answer = ask("POST", "/v1/builders/s3/recreate", R"({"force":true})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"builder":"s3","dry_run":false,"steps":["remove buildwarden_s3","create buildwarden_s3"],)"
                         R"("reason":"it was asked for","rule":"asked","seconds":1.5})");
  on_loop([this] {
    ASSERT_TRUE(builder_control.asked);
    EXPECT_EQ(builder_control.asked->builder, "s3");
    EXPECT_TRUE(builder_control.asked->force);
    EXPECT_FALSE(builder_control.asked->dry_run);
    EXPECT_EQ(builder_control.asked->on_behalf_of, "uid 0");
  });
}

TEST_F(BuildersRoute, SaysWhyNot) {
  builder_control.result = Error(Errc::kConflict, "2 builds run");
  start();
  const auto busy = ask("POST", "/v1/builders/s3/recreate", "");
  EXPECT_EQ(busy.status, 409);
  EXPECT_EQ(busy.text("code"), "builder_busy");
  const auto unknown = ask("POST", "/v1/builders/gha/recreate", "");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.text("code"), "builder_unknown");
  EXPECT_EQ(ask("POST", "/v1/builders//recreate", "").status, 405);
  const auto bad = ask("POST", "/v1/builders/s3/recreate", R"({"forced":true})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(bad.body, HasSubstr("forced"));
  EXPECT_TRUE(ask("DELETE", "/v1/builders/s3/recreate", "").has("Allow: GET, HEAD, OPTIONS, POST"));
}

TEST_F(BuildersRoute, TheEnginesOwnBuilderIsShownToo) {
  views.engine.reason = "connection refused";
  start();
  EXPECT_THAT(get("/v1/builders").body, HasSubstr(R"("engine":{"name":"engine","state":"down",)"
                                                  R"("reason":"connection refused","version":null})"));
}

}  // namespace
}  // namespace buildwarden::api
