// The stack's hooks with buildwarden's parts in them, run as the agent's user on a real engine and a bounded disk.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

constexpr std::int64_t kMiB = 1'048'576;

class DropInFlow : public DaemonFixture {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return "--size 1200M"; }
  // Nobody else's: what has a job's environment is a job to every daemon whose agent's user it belongs to.
  [[nodiscard]] std::string agent() const override { return std::to_string(200'000 + ::getpid()); }
  void SetUp() override {
    DaemonFixture::SetUp();
    if (dir().empty()) return;
    const auto tree = sandbox().substr(0, sandbox().rfind("/packaging/"));
    const auto made =
        run_shell("set -e; umask 022; cd " + dir() + "; stack=" + tree + "/tests/support/stack/v6\n" +
                  "mkdir -p root/etc/buildkite-agent/hooks root/usr/local/bin agent wrap home pauses disk/builds\n"
                  "cp $stack/hooks/* root/etc/buildkite-agent/hooks/; cp $stack/bin/* root/usr/local/bin/\n" +
                  tree + "/packaging/buildkite/install --root $PWD/root\n" +
                  "sed -i \"s|/usr/local/bin/|$PWD/root/usr/local/bin/|; s|/usr/share/buildwarden|$PWD/root&|g\" "
                  "root/etc/buildkite-agent/hooks/*\n"
                  "cp \"$(command -v bash)\" agent/buildkite-agent; cp $stack/../agent-job agent/job\n"
                  "printf '#!/bin/bash\\necho \"$@\" >> " +
                  dir() + "/pauses/calls\\n' > wrap/buildkite-agent\n" +
                  // The client's configuration is at a fixed place, which is the machine's own.
                  "printf '#!/bin/bash\\n[[ $1 == disk ]] && set -- \"$@\" --config " + dir() +
                  "/buildwarden.yaml\\nexec " + dir() + "/bin/buildwarden \"$@\"\\n' > wrap/buildwarden\n" +
                  "chmod 755 wrap/*; chown " + agent() + ":" + agent() +
                  " pauses disk/builds\n"
                  "echo '{\"data-root\":\"" +
                  dir() + "/disk/docker\"}' > daemon.json; echo 'export BUILDKITE_STACK_VERSION=v6' > home/cfn-env");
    ASSERT_EQ(made.exit_code, 0) << made.out;
    DaemonOptions options;
    options.builders = "[]";
    options.disk =
        "min_free: 300MiB, min_free_inodes: 1000, reclaim_below: 15%, reclaim_to: 25%, keep_used_within: 1s, grace: "
        "1s, "
        "ballast: 0B";
    options.more = "on_full: { purge_builds: true }\njobs: { admission_wait: 20s, check_at_end: true }\n";
    start_daemon(options);
  }

  // One job from hook to hook; `environment` are further variables of its step, `work` what it does.
  [[nodiscard]] CommandResult job(const std::string& id, const std::string& environment = "",
                                  const std::string& work = "") const {
    return recipe_shell(
        "export HOME=$DIR/home PATH=$DIR/wrap:$PATH HOOKS=$DIR/root/etc/buildkite-agent/hooks\n"
        "export TMPDIR=/tmp BUILDKITE_JOB_ID=" +
        id + " BUILDKITE_AGENT_NAME=agent-1 BUILDKITE_PIPELINE_SLUG=pipe\nexport AT_WORK='" + work + "' " +
        environment + "\n$DIR/agent/buildkite-agent $DIR/agent/job bootstrap");
  }
  [[nodiscard]] static bool has(const CommandResult& result, const std::string& text) {
    return result.out.find(text) != std::string::npos;
  }
  // The folder that the hook made for the job's credentials.
  [[nodiscard]] static bool left_its_config(const CommandResult& result) {
    const auto at = result.out.find("config=");
    if (at == std::string::npos) return false;
    const auto path = result.out.substr(at + 7, result.out.find('\n', at) - at - 7);
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0;
  }
  [[nodiscard]] std::string pauses() const { return read_text(dir() + "/pauses/calls"); }
  [[nodiscard]] bool has_image(const std::string& tag) const {
    return engine_shell("docker image inspect " + tag + " >/dev/null").exit_code == 0;
  }
  // What a job makes room of must be older than keep_used_within: until then it may be refused.
  [[nodiscard]] CommandResult job_until_it_runs(const std::string& id, const std::string& environment = "") const {
    CommandResult done;
    EXPECT_TRUE(eventually([&] {
      done = job(id, environment);
      return done.exit_code == 0;
    })) << done.out;
    return done;
  }
  void empty_disk() const { EXPECT_EQ(run_shell("rm -f " + dir() + "/disk/writer-*").exit_code, 0); }

  void enough();
  void made_room_for();
  void asked_for_too_much();
  void low_and_recovered();
  void critical_and_recovered();
  void critical_and_purged();
  void full_by_its_own_checkout();
  void not_promised_twice();
  void critical_and_refused();
  void hung();
  void absent();
};

// The job is known while it lives, by the agent's process, and its end is told.
void DropInFlow::enough() {
  const auto done = job("enough", "", "curl -s --unix-socket $BUILDWARDEN_SOCKET http://localhost/v1/jobs");
  EXPECT_EQ(done.exit_code, 0) << done.out;
  EXPECT_TRUE(has(done, "hook-done=yes")) << done.out;
  EXPECT_TRUE(has(done, "\"id\":\"enough\"") && has(done, "\"agent\":\"agent-1\"")) << done.out;
  EXPECT_FALSE(has(done, "\"pid\":null") || has(done, "\"pid\":0")) << done.out;
  EXPECT_TRUE(has(done, "Disk space free: ")) << "at its end: " << done.out;
  EXPECT_FALSE(left_its_config(done)) << done.out;
  EXPECT_EQ(query("/v1/jobs", ".jobs | length"), "0");
}

// It says what it needs, and that is made.
void DropInFlow::made_room_for() {
  make_image("wanted:1", 250);
  fill_disk_until(420 * kMiB);
  const auto done = job_until_it_runs("needs", "BUILDWARDEN_NEED=445MiB");
  EXPECT_TRUE(has(done, "hook-done=yes")) << done.out;
  EXPECT_FALSE(has_image("wanted:1"));
  EXPECT_GE(free_bytes(), 445 * kMiB);
  EXPECT_NE(events("reclaim.done").find("job needs"), std::string::npos) << api("/v1/events?since=0");
  empty_disk();
}

// Issue 14: a slip of the finger flushed everybody's images and paused the agent for all.
void DropInFlow::asked_for_too_much() {
  const auto refused = [this](const std::string& id, const std::string& need, const std::string& why) {
    const auto done = job(id, "BUILDWARDEN_NEED=" + need);
    EXPECT_EQ(done.exit_code, 1) << done.out;
    EXPECT_TRUE(has(done, why)) << done.out;
    EXPECT_EQ(pauses(), "") << "others find room";
  };
  fill_disk_until(420 * kMiB);
  refused("in-vain", "445MiB", "would be free if all that may go were deleted");
  empty_disk();
  make_image("wanted:2", 250);
  wait_until_old("wanted:2");
  fill_disk_until(420 * kMiB);
  refused("typo", "1TiB", "can never have more than");
  refused("beyond", "600MiB", "only root may have more than");
  EXPECT_TRUE(has_image("wanted:2"));
  EXPECT_EQ(engine_shell("docker image rm wanted:2").exit_code, 0);
  empty_disk();
}

void DropInFlow::low_and_recovered() {
  make_image("low:1", 200);
  wait_until_old("low:1");  // a reclaim that finds it too young would not come again for a minute
  fill_disk_until(340 * kMiB);
  const auto done = job("low");
  EXPECT_EQ(done.exit_code, 0) << "it runs at once: " << done.out;
  EXPECT_TRUE(eventually([this] { return !has_image("low:1"); })) << "and room is made behind it";
  empty_disk();
}

void DropInFlow::critical_and_recovered() {
  make_image("critical:1", 250);
  fill_disk_until(150 * kMiB);
  const auto done = job_until_it_runs("critical");
  EXPECT_TRUE(has(done, "hook-done=yes")) << done.out;
  EXPECT_FALSE(has_image("critical:1"));
  empty_disk();
}

// Nothing is left but checkouts: the one that nobody uses goes, whoever owns what is in it.
void DropInFlow::critical_and_purged() {
  const auto made = run_shell(
      "set -e; cd " + dir() + "/disk/builds; mkdir -p agent-1/acme/old agent-2/acme/busy\n" +
      "head -c 250M /dev/urandom > agent-1/acme/old/data; head -c 1M /dev/zero > agent-2/acme/busy/data\n"
      "chown -R " +
      agent() + ":" + agent() + " .; chown 100000:100000 agent-1/acme/old/data; chmod 600 agent-1/acme/old/data");
  ASSERT_EQ(made.exit_code, 0) << made.out;
  const BackgroundProcess user({"/usr/bin/env", "-C", dir() + "/disk/builds/agent-2/acme/busy", "sleep", "600"},
                               dir() + "/busy.log");
  fill_disk_until(150 * kMiB);
  const auto done = job_until_it_runs("purged");
  EXPECT_TRUE(has(done, "hook-done=yes")) << done.out;
  EXPECT_EQ(run_shell("ls " + dir() + "/disk/builds/agent-1/acme/old").exit_code, 2);
  EXPECT_EQ(run_shell("ls " + dir() + "/disk/builds/agent-2/acme/busy").exit_code, 0);
  EXPECT_NE(events("reclaim.step").find("\"rung\":\"checkouts\""), std::string::npos) << events("reclaim.step");
  empty_disk();
}

// Under the stack it would be deleted under the job, whose shell is in it: here a moment later, and the job is no
// failure either.
void DropInFlow::full_by_its_own_checkout() {
  const auto checkout = dir() + "/disk/builds/agent-1/acme/own";
  fill_disk_until(500 * kMiB);
  const auto work = "mkdir -p " + checkout + "/.git; cd " + checkout + "; head -c 350M /dev/urandom > data";
  const auto done = job("own", "", work);
  EXPECT_EQ(done.exit_code, 0) << done.out;
  EXPECT_TRUE(has(done, "hook-done=yes") && has(done, "1 checkouts that job own alone keeps hold 350.0 MiB"))
      << done.out;
  EXPECT_TRUE(eventually([&] { return events("reclaim.done").find("job own, ended") != std::string::npos; }))
      << api("/v1/events?since=0");
  EXPECT_EQ(run_shell("ls " + checkout).exit_code, 2);
  empty_disk();
}

void DropInFlow::not_promised_twice() {
  fill_disk_until(500 * kMiB);
  const auto both = job_shell(
      "start() { buildwarden job start --id $1 --need 350MiB && echo ended=0 || echo ended=$?; }\n"
      "start one & start two & wait");
  EXPECT_TRUE(has(both, "ended=0")) << both.out;
  EXPECT_TRUE(has(both, "ended=1")) << both.out;
  EXPECT_TRUE(has(both, "reserved by job ")) << both.out;
  EXPECT_EQ(job_shell("buildwarden job end --id one; buildwarden job end --id two").exit_code, 0);
  empty_disk();
}

// The reason and who has the disk, in the job's log; the agent is paused, nothing is ended, and 1 is what the stack
// expects.
void DropInFlow::critical_and_refused() {
  EXPECT_EQ(run_shell("rm -f " + dir() + "/pauses/calls").exit_code, 0);
  fill_disk_until(100 * kMiB);
  const auto done = job("refused", "BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL=true");
  EXPECT_EQ(done.exit_code, 1) << done.out;
  EXPECT_FALSE(has(done, "hook-done") || has(done, "stack: ")) << done.out;
  EXPECT_TRUE(has(done, "after all that is allowed was done")) << done.out;
  EXPECT_TRUE(has(done, "files of nobody in particular: ")) << done.out;
  EXPECT_TRUE(has(done, "insufficient disk space")) << done.out;
  EXPECT_NE(pauses().find("pause --note buildwarden: "), std::string::npos) << pauses();
  EXPECT_NE(pauses().find("--timeout-in-minutes 5"), std::string::npos) << pauses();
  const auto check = recipe_shell("PATH=$DIR/wrap:$PATH; $DIR/root/usr/local/bin/bk-check-disk-space.sh");
  EXPECT_EQ(check.exit_code, 1) << check.out;
  EXPECT_TRUE(has(check, "Disk space free: 100M\n") || has(check, "Disk space free: 1")) << check.out;
  EXPECT_TRUE(has(check, "Not enough disk space free: ")) << check.out;
  empty_disk();
  // Full at its end alone: with the check at the end the job fails, and leaves no credentials behind.
  const auto at_end = job("at-end", "", "dd if=/dev/zero of=$DIR/disk/builds/big bs=1M 2> /dev/null || true");
  EXPECT_EQ(at_end.exit_code, 1) << at_end.out;
  EXPECT_TRUE(has(at_end, "hook-done=yes")) << at_end.out;
  EXPECT_FALSE(left_its_config(at_end)) << at_end.out;
  EXPECT_EQ(run_shell("rm -f " + dir() + "/disk/builds/big").exit_code, 0);
}

// It accepts, and never answers: after two seconds the job looks for itself.
void DropInFlow::hung() {
  daemon().send(SIGSTOP);
  const auto done = job("hung");
  EXPECT_EQ(done.exit_code, 0) << done.out;
  EXPECT_TRUE(has(done, "hook-done=yes")) << done.out;
  EXPECT_TRUE(has(done, "the job goes on without it") && has(done, "Inodes free: ")) << done.out;
  daemon().send(SIGCONT);
}

// The stack's own means without its purge; where it is to end the instance, its own lines do that, and its 1 it is.
void DropInFlow::absent() {
  EXPECT_EQ(stop_daemon(), 0);
  const auto enough = job("alone");
  EXPECT_EQ(enough.exit_code, 0) << enough.out;
  EXPECT_TRUE(has(enough, "Disk space free: ") && has(enough, "hook-done=yes")) << enough.out;
  make_image("alone:1", 250);
  fill_disk_until(150 * kMiB);
  const auto kept = job("young", "DOCKER_PRUNE_UNTIL=7d");
  EXPECT_EQ(kept.exit_code, 1) << kept.out;
  EXPECT_TRUE(has(kept, "Insufficient disk space. ") && has_image("alone:1")) << kept.out;
  EXPECT_FALSE(has(kept, "stack: ") || has(kept, "rror response")) << "docker knows no days: " << kept.out;
  const auto ended = job("ended", "DOCKER_PRUNE_UNTIL=7d BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL=true");
  EXPECT_EQ(ended.exit_code, 1) << ended.out;
  EXPECT_TRUE(has(ended, "stack: ") && has(ended, "terminate-instance: ")) << ended.out;
  EXPECT_FALSE(has(ended, "hook-done")) << ended.out;
  const auto pruned = job_until_it_runs("old", "DOCKER_PRUNE_UNTIL=1s");
  EXPECT_FALSE(has_image("alone:1"));
}

TEST_F(DropInFlow, EveryWayThroughTheHooks) {
  enough();
  made_room_for();
  asked_for_too_much();
  low_and_recovered();
  critical_and_recovered();
  critical_and_purged();
  full_by_its_own_checkout();
  not_promised_twice();
  critical_and_refused();
  hung();
  absent();
}

}  // namespace
}  // namespace buildwarden::testing
