// Where seeds lie, and when they are made.
#include <gmock/gmock.h>

#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

using ::testing::HasSubstr;

class Seeds : public ConfigTest {};

TEST_F(Seeds, AreOffByDefault) {
  write("conf.yaml", "");
  const auto all = loaded();
  EXPECT_EQ(all.settings.seeds.location, "");
  EXPECT_EQ(all.settings.seeds.save, SeedSave::kNever);
  EXPECT_TRUE(all.settings.builders.at(0).seed);
}

TEST_F(Seeds, ReachTheSettings) {
  write("conf.yaml",
        "seeds: {location: \"s3://my-seeds/linux\", restore: false, save: idle, every: 12h, max_size: 5GiB, images: 7, "
        "restore_timeout: 30s, endpoint_url: \"http://127.0.0.1:9000\"}\nbuilders: [{name: pr, seed: false}]\n");
  const auto all = loaded();
  const auto& seeds = all.settings.seeds;
  EXPECT_EQ(seeds.location, "s3://my-seeds/linux");
  EXPECT_FALSE(seeds.restore);
  EXPECT_EQ(seeds.save, SeedSave::kIdle);
  EXPECT_EQ(seeds.every, std::chrono::hours{12});
  EXPECT_EQ(seeds.max_size, 5 * kGiB);
  EXPECT_EQ(seeds.images, 7);
  EXPECT_EQ(seeds.restore_timeout, std::chrono::seconds{30});
  EXPECT_FALSE(all.settings.builders.at(0).seed);
}

TEST_F(Seeds, MistakesAreNamed) {
  const auto of = [this](const std::string& keys) { return mistakes_of("seeds: {" + keys + "}\n"); };
  EXPECT_THAT(of("location: seeds"), HasSubstr("seeds.location: \"seeds\" is not a bucket with a prefix"));
  for (const auto* wrong : {"\"s3://\"", "\"s3://UPPER/x\"", "\"s3://bucket/a//b\"", "\"s3://bucket/a b\"", "/mnt/../x",
                            "/mnt", "\"http://bucket/x\""}) {
    EXPECT_THAT(of(std::string("location: ") + wrong), HasSubstr("seeds.location")) << wrong;
  }
  EXPECT_EQ(of("save: idle"), "");
  EXPECT_THAT(warnings(loaded()), HasSubstr("seeds.save: no seed is made without a place; write seeds.location"));
  EXPECT_THAT(of("location: /mnt/seeds, save: always"), HasSubstr("seeds.save"));
  EXPECT_THAT(of("location: /mnt/seeds, every: 1s"), HasSubstr("seeds.every: \"1s\" is out of range"));
  EXPECT_THAT(of("location: /mnt/seeds, images: 51"), HasSubstr("seeds.images"));
  EXPECT_THAT(of("location: /mnt/seeds, max_size: 20"), HasSubstr("has no unit"));
  EXPECT_THAT(of("location: /var/lib/docker/seeds"), HasSubstr("write a folder that outlives the instance"));
}

TEST_F(Seeds, TheAgentsEnvironmentMaySayWhere) {
  write("agent_env", "BUILDWARDEN_SEEDS_LOCATION=s3://fleet/seeds\nBUILDWARDEN_SEEDS_SAVE=idle\n");
  write("conf.yaml", "");
  const auto all = loaded();
  EXPECT_EQ(all.settings.seeds.location, "s3://fleet/seeds");
  EXPECT_EQ(all.settings.seeds.save, SeedSave::kIdle);
}

}  // namespace
}  // namespace buildwarden::config
