// Seeds over HTTP: who may have one made, and what is shown of them.
#include <gmock/gmock.h>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using ::testing::HasSubstr;

class SeedsRoute : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    if (::getuid() != 0) GTEST_SKIP() << "the peer must be root";
    seeds.view.location = "s3://fleet/seeds";
    seeds.view.save = "idle";
    seeds.view.seeds.resize(1);
    seeds.view.seeds[0].builder = "s3";
    seeds.view.seeds[0].state = "idle";
  }
};

TEST_F(SeedsRoute, ShowsWhatIsThere) {
  policy::SeedManifest manifest;
  manifest.unpacked_bytes = 7;
  manifest.buildkit = "v0.23.2";
  manifest.parts = {{"a.tar.zst", 3, ""}};
  seeds.view.seeds[0].there = manifest;
  seeds.view.seeds[0].refusal = "it is of architecture arm64";
  start();
  const auto answer = get("/v1/seeds");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("location":"s3://fleet/seeds","save":"idle")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("bytes":7,"archive_bytes":3)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("refusal":"it is of architecture arm64")"));
}

TEST_F(SeedsRoute, SavesAndRestoresForRoot) {
  ports::SeedDone done;
  done.bytes = 12;
  done.reason = "a seed was made";
  seeds.result = done;
  start();
  const auto saved = ask("POST", "/v1/seeds/s3/save", R"({"dry_run":true})");
  EXPECT_EQ(saved.status, 200);
  EXPECT_THAT(saved.body, HasSubstr(R"("bytes":12)"));
  EXPECT_EQ(ask("POST", "/v1/seeds/s3/restore", "").status, 200);
  on_loop([this] {
    ASSERT_TRUE(seeds.saved && seeds.restored);
    EXPECT_TRUE(seeds.saved->dry_run);
    EXPECT_EQ(seeds.saved->builder, "s3");
    EXPECT_EQ(seeds.saved->on_behalf_of, "uid 0");
    EXPECT_FALSE(seeds.restored->dry_run);
  });
}

TEST_F(SeedsRoute, SaysWhyNot) {
  seeds.result = Error(Errc::kConflict, "2 jobs hold the builder");
  start();
  const auto busy = ask("POST", "/v1/seeds/s3/save", "");
  EXPECT_EQ(busy.status, 409);
  EXPECT_EQ(busy.text("code"), "seed_busy");
  EXPECT_EQ(ask("POST", "/v1/seeds/s3/save", R"({"dryrun":true})").status, 400);
  on_loop([this] { seeds.result = Error(Errc::kNotFound, "there is no seed"); });
  EXPECT_EQ(ask("POST", "/v1/seeds/s3/restore", "").text("code"), "seed_unknown");
}

}  // namespace
}  // namespace buildwarden::api
