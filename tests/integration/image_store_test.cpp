// Where images, ended containers, caches and volumes lie: each rung frees that disk and deletes for no other. On engine
// 28.5 with containerd's image store on a disk of its own and without, on 26.1 and 20.10 what differs there.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "common/format.h"
#include "common/units.h"
#include "tests/support/guard_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kImages = 4;
constexpr int kImageMiB = 60;

// The marks are for disks of 2 GiB and less. Nothing is young.
constexpr const char* kDisk =
    "min_free: 100MiB, min_free_inodes: 100, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 2s, "
    "grace: 1s, ballast: 0B";

class StoreFixture : public GuardFixture {
 protected:
  void start(const std::string& disk = kDisk, bool dry_run = false) {
    DaemonOptions options;
    options.watch = "auto";
    options.disk = disk;
    options.builders = "[]";
    options.more = "on_full: { builder_prune: true }\n";
    options.dry_run = dry_run;
    start_daemon(options);
    ASSERT_TRUE(eventually([this] { return query("/v1/status", ".engine.up") == "true"; })) << log();
  }
  // "/a roles role", a line a filesystem that has a role.
  [[nodiscard]] std::string place_of(const std::string& role) const {
    return query("/v1/disk", ".filesystems[] | select(.roles | index(\"" + role + "\")) | .mount");
  }
  [[nodiscard]] std::string level_of(const std::string& role) const {
    return query("/v1/disk", ".filesystems[] | select(.roles | index(\"" + role + "\")) | .level");
  }
  [[nodiscard]] int images() const { return std::stoi(on_engine("docker images -q idle | wc -l")); }
  void make_images() {
    for (int i = 0; i < kImages; ++i) make_image(format("idle:{}", i), kImageMiB);
  }
  // All but `mib` MiB of that disk.
  void fill(const std::string& folder, int mib) {
    const auto filled =
        run_shell(format("free=$(df -B1M --output=avail {0} | tail -n 1); fallocate -l $((free - {1}))M "
                         "{0}/junk",
                         folder, mib));
    ASSERT_EQ(filled.exit_code, 0) << filled.out;
  }
  void empty(const std::string& folder) { run_shell("rm -f " + folder + "/junk"); }
};

class StoreApart : public StoreFixture {
 protected:
  [[nodiscard]] std::string sandbox_options() const override {
    return "--size 1500M --engine 28.5 --image-store containerd --store-disk 1500M";
  }
  [[nodiscard]] std::string store() const { return dir() + "/store"; }
  [[nodiscard]] std::string disk() const { return dir() + "/disk"; }
};

TEST_F(StoreApart, EachDiskIsFreedByWhatLiesOnIt) {
  make_images();
  on_engine("docker run --network none --name ended idle:0 /busybox true");
  ASSERT_NO_FATAL_FAILURE(start());
  ASSERT_TRUE(eventually([this] { return place_of("images") == store(); })) << api("/v1/disk");
  EXPECT_EQ(place_of("data_root"), disk());
  EXPECT_EQ(query("/v1/disk", ".filesystems[] | select(.roles | index(\"images\")) | .gate"), "true");
  EXPECT_EQ(query("/v1/disk", ".image_store.folders[]"), store() + "/containerd");
  EXPECT_THAT(reasons("disk.image_store"), HasSubstr("in " + store() + "/containerd"));
  ASSERT_NO_FATAL_FAILURE(wait_until_old("idle:1"));

  // Junk on the data root's disk: what lies on the other one stays.
  ASSERT_NO_FATAL_FAILURE(fill(disk(), 50));
  ASSERT_TRUE(eventually([this] { return level_of("data_root") == "critical"; })) << api("/v1/disk");
  ASSERT_TRUE(eventually([this] { return !reasons("reclaim.short").empty(); }));
  EXPECT_EQ(images(), kImages);
  EXPECT_EQ(on_engine("docker ps -aq | wc -l"), "1\n");
  empty(disk());
  ASSERT_TRUE(eventually([this] { return level_of("data_root") == "ok"; }));

  // Junk on the store's: its images go, and it gets better.
  ASSERT_NO_FATAL_FAILURE(fill(store(), 50));
  ASSERT_TRUE(eventually([this] { return images() < kImages && level_of("images") == "ok"; })) << api("/v1/disk");
  EXPECT_THAT(journal("select(.kind == \"reclaim.step\" and .fields.rung == \"images\") | .fields.freed_bytes"),
              Not(IsEmpty()));
  EXPECT_EQ(on_engine("docker ps -aq | wc -l"), "0\n");
}

// As 28.5 without that store, beside a containerd with a disk of its own: images lie in the data root.
class StoreClassic : public StoreFixture {
 protected:
  [[nodiscard]] std::string sandbox_options() const override {
    return "--size 1500M --engine 28.5 --image-store classic --store-disk 300M";
  }
};

TEST_F(StoreClassic, ImagesLieInTheDataRoot) {
  make_images();
  ASSERT_NO_FATAL_FAILURE(start());
  EXPECT_EQ(place_of("data_root"), dir() + "/disk");
  EXPECT_EQ(place_of("images"), "");
  EXPECT_EQ(query("/v1/disk", ".image_store | tojson"), R"({"folders":[],"unknown":null})");
  ASSERT_NO_FATAL_FAILURE(wait_until_old("idle:1"));
  ASSERT_NO_FATAL_FAILURE(fill(dir() + "/disk", 50));
  ASSERT_TRUE(eventually([this] { return images() == 0; })) << api("/v1/disk");  // they are less than what is wanted
}

// What the rungs do about volumes and networks, on each engine.
struct EngineCase {
  std::string options;
  std::string name;
  bool labels = true;  // it tells which volumes nobody named
};
class LeftOvers : public StoreFixture, public ::testing::WithParamInterface<EngineCase> {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return GetParam().options; }
  [[nodiscard]] std::string volumes() const { return on_engine("docker volume ls -q | sort"); }
};

TEST_P(LeftOvers, AnonymousVolumesAndEmptyNetworksGoNamedOnesStay) {
  const std::string look_alike(64, 'b');
  on_engine("work=$(mktemp -d " + dir() +
            "/image.XXXXXX); cp \"$(command -v busybox)\" $work/; tar -C $work -c . | "
            "docker import --change 'VOLUME /data' - scratch:1; rm -rf $work");
  // One that its container takes along; one that was orphaned; named ones of all kinds.
  on_engine("docker run --network none --name with scratch:1 /busybox dd if=/dev/zero of=/data/file bs=1M count=40");
  on_engine("docker run --network none --name orphaned scratch:1 /busybox true");
  const auto orphan =
      on_engine("docker inspect -f '{{(index .Mounts 0).Name}}' orphaned; docker rm orphaned > /dev/null");
  on_engine("docker run --network none --name by-name -v named:/data scratch:1 /busybox true");
  on_engine("docker volume create " + look_alike + "; docker volume create alone");
  on_engine("docker run -d --network none --name busy scratch:1 /busybox sleep 600");
  const auto busy = on_engine("docker inspect -f '{{(index .Mounts 0).Name}}' busy");
  const auto with = on_engine("docker inspect -f '{{(index .Mounts 0).Name}}' with");
  on_engine("for i in 1 2 3; do docker network create empty$i; done; docker network create kept");
  ASSERT_NO_FATAL_FAILURE(start(std::string(kDisk) + ", keep: [ \"network:kept\", \"container:by-*\" ]"));

  // Though the disk wants nothing.
  ASSERT_TRUE(eventually([this] { return on_engine("docker network ls -q -f name=empty").empty(); })) << log();
  EXPECT_THAT(on_engine("docker network ls"), HasSubstr("kept"));
  EXPECT_EQ(level_of("data_root"), "ok");
  EXPECT_THAT(reasons("reclaim.done"), HasSubstr("empty networks"));

  const auto done = reclaim(false);
  EXPECT_THAT(done, HasSubstr("container with (exited, with its anonymous volumes)"));
  const auto left = volumes();
  EXPECT_THAT(left, AllOf(HasSubstr("named"), HasSubstr("alone"), HasSubstr(look_alike), HasSubstr(busy)));
  EXPECT_THAT(left, Not(HasSubstr(with)));
  EXPECT_EQ(left.find(orphan) == std::string::npos, GetParam().labels) << left;
  EXPECT_EQ(done.find("\"anonymous_volumes\"") != std::string::npos, GetParam().labels) << done;
  EXPECT_THAT(on_engine("docker ps -a --format '{{.Names}}'"), AllOf(HasSubstr("by-name"), HasSubstr("busy")));
}

std::vector<EngineCase> engine_cases() {
  return {{"--size 1500M --engine 28.5 --image-store containerd", "Containerd28", true},
          {"--size 1500M --engine 26.1", "Engine26", true},
          {"--size 1500M --engine 20.10", "Engine20", false}};
}

INSTANTIATE_TEST_SUITE_P(OnEngine, LeftOvers, ::testing::ValuesIn(engine_cases()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace buildwarden::testing
