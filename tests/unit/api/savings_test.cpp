#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

TEST_F(ApiTest, StatusHasWhatWasSavedOfTheHostAndByPipeline) {
  start();
  const auto savings = [this] { return get("/v1/status").json().at("savings"); };
  EXPECT_TRUE(savings().at("host").is_null()) << "not loaded yet";
  std::vector<ports::SavingsOfKind> kinds(2);
  kinds[1].kind = policy::ThingKind::kCache;
  kinds[1].saved.today = {12.5, 2.5, 4096, 3};
  on_loop([&] {
    views.savings.host = kinds;
    views.savings.pipelines["web"] = kinds;
  });
  const auto shown = savings();
  const auto& cache = shown.at("host").as_array().at(1);
  EXPECT_EQ(cache.at("kind").as_string(), "cache");
  const auto& today = cache.at("saved").at("today");
  EXPECT_DOUBLE_EQ(today.at("seconds").as_double(), 12.5);
  EXPECT_DOUBLE_EQ(today.at("estimated_seconds").as_double(), 2.5);
  EXPECT_EQ(today.at("bytes").as_int64(), 4096);
  EXPECT_EQ(shown.at("pipelines").as_array().at(0).at("pipeline").as_string(), "web");
  EXPECT_EQ(shown.at("pipelines").as_array().at(0).at("kinds"), shown.at("host"));
}

}  // namespace
}  // namespace buildwarden::api
