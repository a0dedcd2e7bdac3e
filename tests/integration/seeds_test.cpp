// Seeds on a real engine with a real builder: one instance saves, the next one, with an empty volume, begins from it.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Seeds : public DaemonFixture {
 protected:
  [[nodiscard]] std::string place() const { return dir() + "/seeds"; }
  // With the folder as the location, or whatever `location` says.
  void start(const std::string& keys = "") {
    DaemonOptions options;
    std::filesystem::create_directories(place());
    options.more = "seeds: { location: \"" + location() + "\", restore_timeout: 1m" + keys + " }\n";
    start_daemon(options);
  }
  [[nodiscard]] virtual std::string location() const { return place(); }
  [[nodiscard]] CommandResult seeds(const std::string& words) const {
    return run_shell(dir() + "/bin/buildwarden --socket " + dir() + "/run/api.sock seeds " + words);
  }
  // The test builder's own engine makes a block device beside its volumes, which BuildKit does not and no seed may
  // have.
  void remove_device() const {
    EXPECT_EQ(run_shell("rm -f " + volume() + "/_data/engine/volumes/backingFsBlockDev").exit_code, 0);
  }
  [[nodiscard]] CommandResult build(const std::string& id) const {
    return job_shell("eval \"$(buildwarden job start --id " + id +
                     " --use s3)\" && docker build --progress plain \"$CONTEXT\"; " +
                     "code=$?; buildwarden job end --id " + id + "; exit $code");
  }
  // As a new machine has it: no container, no volume, nothing that the daemon remembers.
  void become_another_instance() {
    EXPECT_EQ(stop_daemon(), 0);
    const auto gone = engine_shell(
        "docker ps -aq | xargs -r docker rm -f >/dev/null; docker volume ls -q | xargs -r docker volume rm >/dev/null; "
        "rm -rf " +
        dir() + "/state " + dir() + "/run; mkdir " + dir() + "/state");
    ASSERT_EQ(gone.exit_code, 0) << gone.out;
  }
  [[nodiscard]] std::string container_state() const {
    return engine_shell("docker inspect -f '{{.State.Status}}' buildwarden_s3").out;
  }
  [[nodiscard]] std::string volume() const { return dir() + "/disk/docker/volumes/buildwarden_s3"; }
  [[nodiscard]] std::string manifest() const {
    return run_shell("cat " + place() + "/s3/*/manifest.json 2>/dev/null").out;
  }
  void expect_cold_start(const std::string& rule) {
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_NO_FATAL_FAILURE(wait_until_warm());
    const auto told = events("seed.refused");
    EXPECT_THAT(told, HasSubstr("\"rule\":\"" + rule + "\"")) << told << query("/v1/seeds", ".");
    EXPECT_FALSE(std::filesystem::exists(volume() + "/.buildwarden-seed"));
    const auto built = build("cold");
    EXPECT_EQ(built.exit_code, 0) << built.out;
    EXPECT_THAT(built.out, Not(HasSubstr("CACHED"))) << built.out;
  }
};

TEST_F(Seeds, AnInstanceBeginsFromWhatAnotherSaved) {
  ASSERT_NO_FATAL_FAILURE(start());
  ASSERT_NO_FATAL_FAILURE(wait_until_warm());
  EXPECT_THAT(events("seed.none"), HasSubstr("no_seed"));
  const auto first = build("first");
  ASSERT_EQ(first.exit_code, 0) << first.out;
  EXPECT_THAT(first.out, Not(HasSubstr("CACHED"))) << first.out;
  ASSERT_TRUE(eventually([this] { return query("/v1/builders", ".builders[0].version") != "null"; }));
  remove_device();
  const auto plan = seeds("save s3 --dry-run");
  EXPECT_EQ(plan.exit_code, 0) << plan.out;
  const auto saved = seeds("save s3");
  ASSERT_EQ(saved.exit_code, 0) << saved.out << log();
  EXPECT_EQ(container_state(), "running\n");
  EXPECT_EQ(query("/v1/builders", ".builders[0].heals"), "0") << "a pause of our own is no loss";
  EXPECT_EQ(build("again").exit_code, 0);
  std::cout << saved.out << manifest() << "\n";

  ASSERT_NO_FATAL_FAILURE(become_another_instance());
  ASSERT_NO_FATAL_FAILURE(start());
  // A job that asks at once waits for the restore, and finds everything.
  const auto early = build("early");
  EXPECT_EQ(early.exit_code, 0) << early.out;
  EXPECT_THAT(early.out, HasSubstr("CACHED")) << early.out << log();
  EXPECT_THAT(events("seed.restored"), HasSubstr("restored")) << log();
  std::cout << events("seed.restored") << seeds("").out;
  const auto metrics = api("/metrics");
  EXPECT_THAT(metrics, HasSubstr("buildwarden_seed_operations_total{operation=\"restore\",result=\"done\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("buildwarden_seed_bytes{builder=\"s3\"}"));

  // By hand, into a fresh volume; the old one stays.
  const auto by_hand = seeds("restore s3");
  ASSERT_EQ(by_hand.exit_code, 0) << by_hand.out;
  ASSERT_TRUE(eventually([this] {
    return query("/v1/builders", ".builders[0].volume") == "buildwarden_s3_2" && builder_is_warm();
  })) << api("/v1/builders");
  EXPECT_THAT(engine_shell("docker volume ls -q").out, HasSubstr("buildwarden_s3\n"));
  EXPECT_THAT(build("moved").out, HasSubstr("CACHED"));

  // Whatever is wrong with it: refused, and a cold start.
  ASSERT_NO_FATAL_FAILURE(become_another_instance());
  const auto whole = manifest();
  ASSERT_EQ(run_shell("sed -i 's/\"architecture\":\"[a-z0-9_]*\"/\"architecture\":\"vax\"/' " + place() +
                      "/s3/*/manifest.json")
                .exit_code,
            0);
  ASSERT_NO_FATAL_FAILURE(expect_cold_start("unfit"));
  ASSERT_NO_FATAL_FAILURE(become_another_instance());
  ASSERT_EQ(
      run_shell("sed -i 's/\"architecture\":\"vax\"/\"architecture\":\"'$(dpkg --print-architecture)'\"/' " + place() +
                "/s3/*/manifest.json; "
                "part=$(ls -S " +
                place() + "/s3/*/*.tar.zst | head -n 1); truncate -s -1 \"$part\"")
          .exit_code,
      0);
  EXPECT_EQ(manifest(), whole);
  ASSERT_NO_FATAL_FAILURE(expect_cold_start("damaged"));
}

// A volume that takes its time: jobs, and the end of the daemon, come in the midst of a save.
TEST_F(Seeds, ASaveGivesWay) {
  ASSERT_NO_FATAL_FAILURE(start());
  ASSERT_NO_FATAL_FAILURE(wait_until_warm());
  ASSERT_TRUE(eventually([this] { return query("/v1/builders", ".builders[0].version") != "null"; }));
  remove_device();
  ASSERT_EQ(run_shell("head -c 700M /dev/urandom > " + volume() + "/_data/slow").exit_code, 0);
  const auto is_paused = [this] { return container_state() == "paused\n"; };

  CommandResult save;
  std::thread saving([&] { save = seeds("save s3"); });
  EXPECT_TRUE(eventually(is_paused));
  const auto built = job_shell(
      "begin=$(date +%s%N); eval \"$(buildwarden job start --id comes --use s3)\"; echo \"waited $((($(date +%s%N) - "
      "begin) / 1000000)) ms\"; docker build --progress plain \"$CONTEXT\"; code=$?; buildwarden job end --id comes; "
      "exit $code");
  saving.join();
  EXPECT_EQ(built.exit_code, 0) << built.out;
  std::cout << built.out.substr(0, built.out.find('\n') + 1) << save.out;
  EXPECT_EQ(save.exit_code, 1) << save.out;
  EXPECT_THAT(events("seed.given_up"), HasSubstr("a job came"));
  EXPECT_TRUE(eventually([this] { return container_state() == "running\n"; }));
  EXPECT_TRUE(eventually([this] { return run_shell("ls " + place() + "/s3/*/ | wc -l").out == "0\n"; }))
      << "what it wrote is removed";

  ASSERT_TRUE(eventually([this] { return query("/v1/builders", ".builders[0].running_builds") == "0"; }));
  std::thread killed([&] { save = seeds("save s3"); });
  EXPECT_TRUE(eventually(is_paused));
  daemon().send(SIGKILL);
  static_cast<void>(daemon().wait());
  killed.join();
  EXPECT_TRUE(eventually([] { return run_shell("pgrep -f '[w]ork-on-seed'").exit_code != 0; }))
      << "it ends with the daemon";
  ASSERT_NO_FATAL_FAILURE(start());
  ASSERT_NO_FATAL_FAILURE(wait_until_warm());
  EXPECT_EQ(container_state(), "running\n");
  EXPECT_EQ(manifest(), "");

  remove_device();
  ASSERT_TRUE(eventually([this] { return query("/v1/builders", ".builders[0].version") != "null"; }));
  std::thread stopped([&] { save = seeds("save s3"); });
  EXPECT_TRUE(eventually(is_paused));
  EXPECT_EQ(stop_daemon(), 0);
  stopped.join();
  EXPECT_EQ(container_state(), "running\n") << "nobody is left to unpause it";
}

}  // namespace
}  // namespace buildwarden::testing
