// Seeds in S3 by the real AWS CLI, on a stand-in for S3's protocol.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>

#include "common/clock.h"
#include "common/format.h"
#include "common/subprocess.h"
#include "daemon/seeds/program.h"
#include "daemon/seeds/tasks.h"
#include "tests/support/command.h"
#include "tests/support/saved_seed.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::seeds {
namespace {

namespace fs = std::filesystem;

class SeedsInS3 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::run_shell("command -v aws python3").exit_code != 0) GTEST_SKIP() << "without the AWS CLI";
    for (const auto* name : {"objects/.faults", "a/_data", "b/_data"}) fs::create_directories(path(name));
    // More than a piece of a multipart upload.
    ASSERT_EQ(testing::run_shell("head -c 20M /dev/urandom > '" + path("a/_data/layer") + "'").exit_code, 0);
    server_ = std::make_unique<testing::BackgroundProcess>(
        std::vector<std::string>{"/usr/bin/python3", BUILDWARDEN_SOURCE_DIR "/tests/support/s3_stand_in.py",
                                 path("objects"), path("requests")},
        path("url"));
    ASSERT_TRUE(testing::eventually([&] { return testing::read_text(path("url")).ends_with("\n"); }));
    auto url = testing::read_text(path("url"));
    url.pop_back();
    for (const auto& [name, value] :
         {std::pair("AWS_ACCESS_KEY_ID", "key"), std::pair("AWS_SECRET_ACCESS_KEY", "secret"),
          std::pair("AWS_EC2_METADATA_DISABLED", "true"), std::pair("AWS_CONFIG_FILE", "/dev/null")}) {
      ::setenv(name, value, 1);
    }
    order_.place = {"s3://fleet/seeds", "s3", "amd64", "aws", "eu-west-1", url, ""};
    order_.most = kGiB;
    order_.manifest.builder = "s3";
    order_.manifest.architecture = "amd64";
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  [[nodiscard]] std::unique_ptr<Store> store() const { return open_s3_store(order_.place); }
  void set_fault(const std::string& name) const { std::ofstream(path("objects/.faults/" + name)); }
  Result<Answer> save_a() { return testing::save_seed(order_, path("a"), *store()); }
  void publish_a() { testing::publish_seed(order_, path("a"), *store()); }

  testing::TempFolder folder_;
  std::unique_ptr<testing::BackgroundProcess> server_;
  Order order_;
  Told nobody_ = [](const Advance&) {};
};

TEST_F(SeedsInS3, WhatOneInstanceSavesAnotherRestores) {
  const auto none = look(*store());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Errc::kNotFound) << none.error().message();
  ASSERT_NO_FATAL_FAILURE(publish_a());
  const auto seen = look(*store());
  ASSERT_TRUE(seen) << seen.error().message();
  auto order = order_;
  order.volume = path("b");
  order.manifest = *seen->manifest;
  const auto restored = restore(order, *store(), nobody_);
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(testing::run_shell(format("diff -r '{}' '{}'", path("a/_data"), path("b/_data"))).exit_code, 0);
  ASSERT_TRUE(store()->remove_part(seen->manifest->parts[0].name));
  const auto names = store()->part_names();
  ASSERT_TRUE(names) << names.error().message();
  EXPECT_EQ(names->size(), 4U);
}

TEST_F(SeedsInS3, WhatGoesWrongLeavesTheVolumeEmpty) {
  ASSERT_NO_FATAL_FAILURE(publish_a());
  auto order = order_;
  order.volume = path("b");
  order.manifest = *look(*store())->manifest;
  const auto expect_cold = [&](const Result<Answer>& restored, Errc code) {
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code(), code) << restored.error().message();
    EXPECT_TRUE(fs::is_empty(path("b/_data")));
    EXPECT_EQ(std::distance(fs::directory_iterator(path("b")), fs::directory_iterator()), 1);
  };
  set_fault("403");
  const auto denied = look(*store());
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code(), Errc::kDenied) << denied.error().message();
  expect_cold(restore(order, *store(), nobody_), Errc::kDenied);
  fs::remove(path("objects/.faults/403"));
  ASSERT_TRUE(store()->remove_part(order.manifest.parts[2].name));
  expect_cold(restore(order, *store(), nobody_), Errc::kNotFound);
}

// What takes too long is killed with everything that it started; what it left is beside the volume.
TEST_F(SeedsInS3, ASlowRestoreEndsInTime) {
  const auto* program = std::getenv("BUILDWARDEN_BIN");  // NOLINT(concurrency-mt-unsafe): tests set no variables
  if (program == nullptr) GTEST_SKIP() << "without the program";
  ASSERT_NO_FATAL_FAILURE(publish_a());
  set_fault("slow");
  auto order = order_;
  order.task = Task::kRestore;
  order.volume = path("b");
  order.manifest = *look(*store())->manifest;
  const auto staging = path("b") + "/" + kStaging;
  std::stop_source stop;
  std::optional<Result<ProgramEnd>> end;
  std::thread restoring([&] {
    ProgramCall call;
    call.command = {program, std::string(kSeedCommand)};
    call.input = encode_order(order);
    call.deadline = std::chrono::minutes{2};
    end = run_program(std::move(call), stop.get_token());
  });
  const auto clients = [&] { return testing::run_shell("pgrep -fc '[s]3 cp.*" + order_.place.endpoint_url + "'").out; };
  EXPECT_TRUE(testing::eventually([&] { return fs::exists(staging + "/layer"); })) << "it is under way";
  EXPECT_NE(clients(), "0\n");
  stop.request_stop();
  restoring.join();
  ASSERT_TRUE(end && !*end);
  EXPECT_TRUE(testing::eventually([&] { return clients() == "0\n"; })) << clients();
  EXPECT_TRUE(fs::is_empty(path("b/_data")));
  ASSERT_TRUE(clean(order));
  EXPECT_FALSE(fs::exists(staging));
}

}  // namespace
}  // namespace buildwarden::seeds
