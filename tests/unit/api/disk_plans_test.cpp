// Issue 18: what would go next and what stays, with the reasons; one plan for all who ask within some seconds.
#include <gmock/gmock.h>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

class DiskPlansTest : public ApiTest {
 protected:
  DiskPlansTest() {
    ports::FilesystemSnapshot disk;
    disk.mount = "/";
    disk.gate = true;
    disk.reading.emplace();
    disk.reading->total = 1000;
    disk.reading->free = 400;
    views.disk.filesystems = {disk};
  }
  static ports::SpaceResult with_steps(int count) {
    ports::SpaceResult result;
    for (int i = 0; i < count; ++i) {
      result.steps.push_back({"images", "app:" + std::to_string(i), 90, policy::FreedSpace{}, "unused for 5h", "age"});
    }
    return result;
  }
};

TEST_F(DiskPlansTest, HasWhatWouldGoWithItsValue) {
  auto result = with_steps(2);
  result.steps[0].value = policy::Valuation{1.5, 0, 12.5, true, 7, "app:3", "would cost 12.5 s"};
  space.result = result;
  start();
  const auto plan = get("/v1/disk/plan").json();
  EXPECT_EQ(plan.at("steps").as_array().size(), 2U);
  EXPECT_EQ(plan.at("left_off").as_int64(), 0);
  EXPECT_TRUE(plan.at("complete").as_bool());
  EXPECT_EQ(plan.at("steps").at(0).at("cost_seconds").as_double(), 12.5);
  EXPECT_EQ(plan.at("steps").at(0).at("why").as_string(), "would cost 12.5 s");
  EXPECT_EQ(plan.at("steps").at(1).at("place").as_int64(), 2);
  const auto asked = on_loop([&] { return std::exchange(space.asked, std::nullopt); });
  ASSERT_TRUE(asked);
  EXPECT_TRUE(asked->dry_run && asked->quiet && asked->list_kept);
  EXPECT_EQ(asked->free, views.disk.filesystems[0].reading->total);
  EXPECT_EQ(get("/v1/disk/plan").status, 200);
  EXPECT_FALSE(on_loop([&] { return space.asked; })) << "asked again at once";
}

TEST_F(DiskPlansTest, OfMoreThanAHundredHasTheFirstAndTheLast) {
  space.result = with_steps(120);
  start();
  const auto plan = get("/v1/disk/plan").json();
  const auto& steps = plan.at("steps").as_array();
  ASSERT_EQ(steps.size(), 100U);
  EXPECT_EQ(plan.at("left_off").as_int64(), 20);
  EXPECT_EQ(steps[89].at("what").as_string(), "app:89");
  EXPECT_EQ(steps[90].at("what").as_string(), "app:110") << "what is worth the most goes last, and is told";
  EXPECT_EQ(steps[90].at("place").as_int64(), 111);
  EXPECT_EQ(steps[99].at("place").as_int64(), 120);
}

TEST_F(DiskPlansTest, HasWhatStaysTheLargestFirst) {
  ports::SpaceResult result;
  for (int i = 0; i < 103; ++i) {
    result.kept.push_back({"images", "app:" + std::to_string(i), "/", i, {}, "in use by container web", "in_use"});
  }
  result.kept[0].mount = "";
  result.kept[0].size = 500;
  result.kept_left_off = 4;
  space.result = result;
  start();
  const auto plan = get("/v1/disk/plan").json();
  const auto& kept = plan.at("kept").as_array();
  ASSERT_EQ(kept.size(), 100U);
  EXPECT_EQ(plan.at("kept_left_off").as_int64(), 7);
  EXPECT_EQ(kept[0].at("what").as_string(), "app:0");
  EXPECT_TRUE(kept[0].at("mount").is_null());
  EXPECT_EQ(kept[1].at("what").as_string(), "app:102");
  EXPECT_EQ(kept[1].at("mount").as_string(), "/");
  EXPECT_EQ(kept[1].at("reason").as_string(), "in use by container web");
  EXPECT_EQ(kept[1].at("rule").as_string(), "in_use");
}

TEST_F(DiskPlansTest, WhoAsksWhileItIsMadeGetsThatOne) {
  space.closed = true;
  start();
  Request request;
  request.method = "GET";
  request.path = "/v1/disk/plan";
  request.peer = {true, 0, 0, {}};
  const auto call = [&] { return boost::asio::co_spawn(loop, api->handle(request), boost::asio::use_future); };
  std::pair answers(call(), call());
  EXPECT_EQ(on_loop([&] { return space.times; }), 1);
  on_loop([&] { space.gate.notify_all(); });
  EXPECT_EQ(answers.first.get().body, answers.second.get().body);
}

TEST_F(DiskPlansTest, SaysThatNothingCouldBeMeasured) {
  views.disk.filesystems[0].reading.reset();
  start();
  const auto answer = get("/v1/disk/plan");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.text("code"), "disk_unknown");
}

}  // namespace
}  // namespace buildwarden::api
