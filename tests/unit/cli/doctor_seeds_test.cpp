// What doctor says of the place where seeds lie.
#include <gmock/gmock.h>

#include "tests/unit/cli/doctor_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::HasSubstr;

class DoctorSeeds : public DoctorTest {
 protected:
  // An AWS CLI that says this and ends with that.
  void set_cli(const std::string& errors, int code) {
    const auto path = folder() + "/aws";
    std::ofstream(path) << "#!/bin/sh\necho '" << errors << "' >&2\nexit " << code << "\n";
    ::chmod(path.c_str(), 0755);
    scene_.settings.instance.aws_cli = path;
    scene_.settings.seeds.location = "s3://fleet/seeds";
  }
};

TEST_F(DoctorSeeds, OffIsInOrder) { EXPECT_EQ(texts(cli::check_seeds(scene_)), "seeds are off\n"); }

TEST_F(DoctorSeeds, AFolderThatOthersMayWriteToIsToldOf) {
  auto& seeds = scene_.settings.seeds;
  seeds.location = folder() + "/missing/seeds";
  EXPECT_THAT(texts(cli::check_seeds(scene_)), HasSubstr("No such file"));
  seeds.location = folder() + "/seeds";
  ASSERT_EQ(::mkdir(seeds.location.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(seeds.location.c_str(), 0777), 0);
  EXPECT_THAT(texts(cli::check_seeds(scene_)), HasSubstr("others than root may write"));
  if (::getuid() != 0) return;
  ASSERT_EQ(::chmod(seeds.location.c_str(), 0755), 0);
  EXPECT_THAT(texts(cli::check_seeds(scene_)), HasSubstr("seeds lie in"));
}

TEST_F(DoctorSeeds, TheRightThatIsMissingIsNamed) {
  set_cli("An error occurred (AccessDenied) when calling the ListObjectsV2 operation: Access Denied", 254);
  const auto denied = cli::check_seeds(scene_);
  EXPECT_EQ(denied.at(0).level, cli::Level::kError);
  EXPECT_THAT(denied.at(0).fix, HasSubstr("s3:ListBucket"));
  set_cli("An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation", 254);
  EXPECT_THAT(texts(cli::check_seeds(scene_)), HasSubstr("no such bucket"));
  set_cli("Unable to locate credentials. You can configure credentials by running aws configure.", 253);
  EXPECT_THAT(texts(cli::check_seeds(scene_)), HasSubstr("no credentials"));
  set_cli("", 1);
  EXPECT_THAT(texts(cli::check_seeds(scene_)), HasSubstr("can be listed")) << "an empty place ends with 1";
}

TEST_F(DoctorSeeds, ASeedOfNoUseIsToldOf) {
  set_cli("", 0);
  say(daemon_, "/v1/seeds", R"({"seeds":[{"builder":"s3","refusal":"it is of architecture arm64"}]})");
  EXPECT_THAT(texts(cli::check_seeds(scene_)), HasSubstr("of no use here: it is of architecture arm64"));
}

}  // namespace
}  // namespace buildwarden::testing
