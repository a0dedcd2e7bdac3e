// What images are called and what they are built on, on each engine: who is used, who is kept, and who goes first.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "tests/support/disk_half.h"
#include "tests/support/registry.h"

namespace buildwarden::disk {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

struct OnEngine {
  const char* name;
  const char* options;  // of packaging/sandbox
};

class Images : public HalfFixture, public ::testing::WithParamInterface<OnEngine> {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return GetParam().options; }
  void SetUp() override {
    HalfFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    half_->settings.disk.keep.clear();
  }

  // Trimmed.
  std::string word(const std::string& script) {
    auto out = shell(script);
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }
  // An image that nothing but its digest leads to, pulled from a registry of the test's; its name.
  std::string pull_by_digest(const std::string& repository) {
    if (!registry_) {
      registry_.emplace(dir() + "/registry", "127.0.0.1");  // loopback: the engine asks for no certificate
      std::filesystem::create_directories(dir() + "/docker-config");
      std::ofstream(dir() + "/docker-config/config.json") << registry_->docker_config();
    }
    const auto tag = registry_->host() + "/" + repository + ":1";
    make(tag);
    shell("docker push -q " + tag);
    const auto name = word("docker image inspect -f '{{index .RepoDigests 0}}' " + tag);
    shell("docker rmi " + tag + "; docker pull -q " + name);
    return name;
  }
  [[nodiscard]] std::string why(const std::string& image) {
    return half_->ledger.why(word("docker image inspect -f '{{.Id}}' " + image));
  }
  void reclaim() { reclaim_while({}); }
  // Waits until the ledger tells so of an image's last use; a list comes only when an event wants it.
  void until_used(const std::string& image, const std::string& reason) {
    const auto id = word("docker image inspect -f '{{.Id}}' " + image);
    testing::run_until(loop_, [&] { return half_->ledger.why(id).find(reason) != std::string::npos; });
  }
  std::optional<testing::Registry> registry_;
};

TEST_P(Images, ANameByDigestIsANameEverywhere) {
  const auto tool = pull_by_digest("team/tool");
  const auto with_tag = registry_->host() + "/team/tool:1" + tool.substr(tool.find('@'));

  // Kept, by that name and by others for the same.
  for (const auto& pattern : {registry_->host() + "/team/tool*", registry_->host() + "/team/tool", with_tag}) {
    half_->settings.disk.keep = {pattern};
    reclaim();
    EXPECT_THAT(deleted_, IsEmpty()) << pattern;
  }
  half_->settings.disk.keep.clear();

  // Used: by its digest, with a tag beside it that says nothing, and by five digits of its id.
  const auto digits = word("docker image inspect -f '{{.Id}}' " + tool).substr(7, 5);
  for (const auto& name : {tool, with_tag, digits}) {
    shell("docker pull -q " + tool);
    until_used(tool, "image pull");
    shell("docker run --rm --network none " + name + " /busybox true");
    until_used(tool, "container ");
  }

  // In use by a container that only stands there.
  shell("docker create --name stands " + with_tag);
  reclaim();
  EXPECT_THAT(deleted_, IsEmpty());
  shell("docker rm stands");

  // And it goes by that name when nothing speaks for it, from the rung of images.
  shell("docker tag " + tool + " other:1");
  reclaim();
  EXPECT_THAT(deleted_, ElementsAre("other:1"));
  EXPECT_EQ(word("docker images -aq"), "");
  EXPECT_THAT(reasons("reclaim.rung_failed"), IsEmpty());
}

// Four containers by digest with a health check each second cost no list of images; nor does one whose image is gone.
TEST_P(Images, EventsOfContainersByDigestWantNoLists) {
  const auto tool = pull_by_digest("team/tool");
  settle();
  shell("for i in 1 2 3 4; do docker run -d --network none --health-cmd '/busybox true' --health-interval 1s " + tool +
        "; done");
  settle();
  int commands = 0;
  int starts = 0;
  bool wants = false;
  half_->engine.on_event([&](const ports::EngineEvent& event) {
    if (event.action.starts_with("exec_")) ++commands;
    if (event.action == "start") ++starts;
    wants = wants || half_->feed.wants_listing();
  });
  shell(
      "until [ $(docker inspect -f '{{len .State.Health.Log}}' $(docker ps -q) | sort -n | head -n 1) -ge 3 ]; do "
      "sleep 0.2; done; docker restart -t 0 $(docker ps -q | head -n 1)");
  testing::run_until(loop_, [&starts] { return starts >= 1; });
  EXPECT_EQ(commands, 0) << "health checks are none of its business";
  EXPECT_FALSE(wants);
  shell("docker ps -q | xargs docker rm -f");
}

class ImagesThatAreMounted : public Images {};

TEST_P(ImagesThatAreMounted, AnImageThatIsOnlyMountedIsUsed) {
  const auto tool = pull_by_digest("team/tool");
  make("base/x:1");
  settle();
  // Not waited for: the loop that asks it what it mounts must run meanwhile.
  shell("docker run --rm --network none --mount type=image,src=" + tool +
        ",dst=/tool base/x:1 /busybox sleep 3 > /dev/null 2>&1 < /dev/null & disown");
  until_used(tool, "container");  // it mounts it, or a list saw that it runs
  shell("docker create --name stands --mount type=image,src=" + tool + ",dst=/tool base/x:1");
  reclaim();
  EXPECT_THAT(deleted_, IsEmpty());
  shell("docker ps -aq | xargs docker rm -f");
  reclaim();
  EXPECT_THAT(deleted_, UnorderedElementsAre(tool, "base/x:1"));
}

TEST_P(Images, WhatIsBuiltOnHoldsWhatItIsBuiltOn) {
  // root <- 1 <- … <- 4, and toolchain:7 with something that a build made of it.
  make("root:1");
  make("toolchain:7");
  settle();
  shell(R"(mkdir -p $DIR/b; export DOCKER_BUILDKIT=1; before=root:1
    for i in 1 2 3 4; do
      head -c 300000 /dev/urandom > $DIR/b/data
      printf 'FROM %s\nCOPY data /data%s\n' $before $i > $DIR/b/Dockerfile
      docker build -q -t chain/$i:1 $DIR/b; before=chain/$i:1
    done
    printf 'FROM toolchain:7\nCOPY data /data\n' > $DIR/b/Dockerfile
    docker build -q -t app:1 $DIR/b)");
  settle();
  EXPECT_THAT(why("toolchain:7"), HasSubstr("an image that is built on it: "));

  shell("docker create --name stands chain/2:1; docker create --name app app:1");
  reclaim();
  EXPECT_THAT(deleted_, ElementsAre("chain/4:1", "chain/3:1")) << "each of the others is below one that stays";
  shell("docker image inspect root:1 chain/1:1 chain/2:1 toolchain:7 app:1 > /dev/null");

  shell("docker rm stands app");
  half_->settings.disk.keep = {"docker.io/library/app"};
  reclaim();
  EXPECT_THAT(deleted_, ElementsAre("chain/2:1", "chain/1:1", "root:1"));
  half_->settings.disk.keep = {};
  reclaim();
  EXPECT_THAT(deleted_, ElementsAre("app:1", "toolchain:7"));
}

constexpr OnEngine kNewest{"Docker28Containerd", "--engine 28.5 --image-store containerd"};

std::string name_of_engine(const ::testing::TestParamInfo<OnEngine>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(OnEngine, Images,
                         ::testing::Values(OnEngine{"Docker26", "--engine 26.1"},
                                           OnEngine{"Docker20", "--engine 20.10"}, kNewest),
                         name_of_engine);
// Engines before API 1.48 mount none.
INSTANTIATE_TEST_SUITE_P(OnEngine, ImagesThatAreMounted, ::testing::Values(kNewest), name_of_engine);

}  // namespace
}  // namespace buildwarden::disk
