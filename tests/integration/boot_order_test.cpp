// A boot of the Elastic CI Stack: the daemon is there first, and the stack's files and mounts appear while it runs, in
// the order of bk-mount-instance-storage.sh, bk-configure-docker.sh and bk-install-elastic-stack.sh. Then a second
// boot, with all of it there from the start.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/fake_engine.h"
#include "tests/support/own_mounts.h"
#include "tests/support/plain_daemon.h"

namespace buildwarden::testing {
namespace {

class BootOrder : public PlainDaemonFixture {
 protected:
  void SetUp() override {
    PlainDaemonFixture::SetUp();
    if (IsSkipped()) return;
    if (::geteuid() != 0) GTEST_SKIP() << "mounts need root";
    for (const auto* folder : {"agent/builds", "var/docker", "mnt/ephemeral"}) {
      std::filesystem::create_directories(in(folder));
    }
    engine_.restart("before", in("var/docker"));
    engine_.replace("GET /v1.45/images/json", FakeAnswer::json(200, R"([{"Id":"sha256:a","Size":1000000,"Created":1,)"
                                                                    R"("RepoTags":["old:1"]}])"));
    engine_.replace("GET /v1.45/images/old:1/json", FakeAnswer::json(200, R"({"Id":"sha256:a"})"));
    write_yaml(
        engine_.socket(),
        "min_free: 1MiB, min_free_inodes: 1, reclaim_below: 2MiB, reclaim_to: 3MiB, ballast: 0B, grace: 0s",
        "agent: { user: \"0\", unit: bw-test-agent.service }\nlisten: { socket: " + api_socket() + ", tcp: \"\" }\n");
    const auto made = run_shell("truncate -s 64M " + in("nvme") + " && mkfs.ext4 -qF " + in("nvme"));
    ASSERT_EQ(made.exit_code, 0) << made.out;
  }

  // In a mount namespace of its own, with the agent's unit installed there and nowhere else.
  void boot(const std::string& mounts_before = "") {
    start_daemon(without_others_disks(std::filesystem::path(in("x")).parent_path()) +
                     "mount -t tmpfs none /run\nmkdir -p /run/systemd/system\n"
                     "touch /run/systemd/system/bw-test-agent.service\n" +
                     mounts_before,
                 {}, {"unshare", "--mount", "--propagation", "private"});
    wait_until_it_answers();
    ASSERT_TRUE(becomes("/readyz", ".ready", "true"));
  }
  // As the stack's scripts do, beside the running daemon.
  void on_the_host(const std::string& script) {
    const auto done =
        run_shell("nsenter --mount --target " + std::to_string(daemon().pid()) + " bash -ec '" + script + "'");
    ASSERT_EQ(done.exit_code, 0) << done.out;
  }
  // In two pieces, as the script does, readable by the agent alone.
  void write_cfn_env() const {
    std::ofstream file(in("agent/cfn-env"));
    ASSERT_EQ(::chmod(in("agent/cfn-env").c_str(), 0640), 0);
    ASSERT_EQ(::chown(in("agent/cfn-env").c_str(), 0, 2000), 0);
    file << "set_always() {\n  export \"$1=$2\"\n}\n\n" << std::flush;
    file << "set_always         \"DOCKER_PRUNE_UNTIL\" \"0s\"\n";
  }
  [[nodiscard]] std::string mount_storage() const { return "mount -o loop " + in("nvme") + " " + in("mnt/ephemeral"); }
  [[nodiscard]] std::string mount_builds() const {
    return "mount --bind " + in("mnt/ephemeral/builds") + " " + in("agent/builds");
  }
  // "value from source" of a key.
  [[nodiscard]] static std::string setting(const std::string& key) {
    return ".settings[] | select(.key == \"" + key + "\") | .value + \" from \" + .source";
  }
  // The roles of the filesystem that is mounted there, "none" when it is not watched.
  [[nodiscard]] static std::string roles_at(const std::string& mount) {
    return "[.filesystems[] | select(.mount == \"" + mount + "\") | .roles | sort | join(\" \")] | first // \"none\"";
  }
  // What a reclaim of everything would take now.
  [[nodiscard]] std::string plan() const {
    return query("/v1/disk/reclaim", "[.steps[].what] | join(\" \")",
                 "-X POST -d \"{\\\"dry_run\\\":true,\\\"target_free_bytes\\\":4611686018427387904}\"");
  }
  void expect_nothing_was_deleted() {
    EXPECT_EQ(engine_.count("DELETE"), 0);
    EXPECT_EQ(engine_.count("POST"), 0);
    const auto deletions = R"([.events[] | select(.kind == "reclaim.step" and .fields.dry_run != true)] | length)";
    EXPECT_EQ(query("/v1/events", deletions), "0");
  }

  FakeEngine engine_;
};

TEST_F(BootOrder, TheDaemonFollowsEachStepByItselfAndKnowsAllAtTheNextBoot) {
  const auto ephemeral = in("mnt/ephemeral");
  boot();
  EXPECT_EQ(query("/v1/status", ".config.parameters_awaited"), "true");
  EXPECT_EQ(query("/v1/config", setting("disk.keep_used_within")), "4h from default");
  EXPECT_EQ(query("/v1/config", setting("engine.data_root")), "/var/lib/docker from default");
  EXPECT_EQ(plan(), "") << "only gentle steps";

  on_the_host(mount_storage());
  on_the_host("mkdir " + ephemeral + "/docker " + ephemeral + "/builds");
  EXPECT_EQ(query("/v1/disk", roles_at(ephemeral)), "none") << "nothing lives there yet";

  std::filesystem::create_directories(in("etc/docker"));
  std::ofstream(in("etc/docker/daemon.json")) << R"({"storage-driver":"overlay2"})";
  replace("etc/docker/daemon.json", R"({"userns-remap":"buildkite-agent","data-root":")" + ephemeral + R"(/docker"})");
  ASSERT_TRUE(becomes("/v1/config", setting("engine.data_root"), ephemeral + "/docker from daemon.json"));
  EXPECT_EQ(query("/v1/config", setting("engine.userns_remap")), "true from daemon.json");
  EXPECT_EQ(query("/v1/disk", roles_at(ephemeral)), "none") << "the engine runs on the old one, and it must know";

  engine_.restart("after", ephemeral + "/docker");
  ASSERT_TRUE(becomes("/v1/disk", roles_at(ephemeral), "data_root"));
  EXPECT_EQ(plan(), "") << "still only gentle steps";

  write_cfn_env();
  ASSERT_TRUE(becomes("/v1/config", setting("disk.keep_used_within"), "0s from cfn-env"));
  EXPECT_EQ(query("/v1/status", ".config.parameters_awaited"), "false");
  EXPECT_TRUE(eventually([this] { return plan() == "old:1"; })) << plan();

  on_the_host(mount_builds());
  ASSERT_TRUE(becomes("/v1/disk", roles_at(ephemeral), "builds data_root"));
  ASSERT_TRUE(becomes("/readyz", ".ready", "true"));
  EXPECT_EQ(query("/v1/events", R"([.events[] | select(.kind == "config.refused")] | length)"), "0");
  expect_nothing_was_deleted();
  EXPECT_EQ(stop_daemon(), 0);

  boot(mount_storage() + "\n" + mount_builds());
  EXPECT_EQ(query("/v1/config", setting("engine.data_root")), ephemeral + "/docker from daemon.json");
  EXPECT_EQ(query("/v1/config", setting("disk.keep_used_within")), "0s from cfn-env");
  EXPECT_EQ(query("/v1/status", ".config.parameters_awaited"), "false");
  ASSERT_TRUE(becomes("/v1/disk", roles_at(ephemeral), "builds data_root"));
  const auto since_the_start = R"(.events | .[(map(.kind) | rindex("daemon.started")):])";
  EXPECT_EQ(
      query("/v1/events", since_the_start + std::string(R"( | map(select(.kind | startswith("config."))) | length)")),
      "0");
  expect_nothing_was_deleted();
  EXPECT_EQ(stop_daemon(), 0);
}

}  // namespace
}  // namespace buildwarden::testing
