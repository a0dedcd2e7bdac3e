// The last resort on a real disk: checkouts that nobody uses go, in the order of their last use; those of running jobs
// stay, registered or not (H11, H12).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "tests/support/bare_daemon.h"
#include "tests/support/loop_disk.h"

namespace buildwarden::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The agent's: nobody else's, since all processes of that user on the machine are looked at.
std::string user() { return std::to_string(200'000 + ::getpid()); }

class CheckoutsOnADisk : public BareDaemonFixture {
 protected:
  void SetUp() override {
    BareDaemonFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    disk_.emplace(dir() + "/disk.img", mounts() + "/disk", "ext4");
    // As the stack has them: a bind mount, of the agent's user, who owns the folder above as well.
    shell(
        "mkdir -p $D/docker $D/real $B $D/outside; echo precious > $D/outside/file; mount --bind $D/real $B; "
        "chown $U:$U $D/home $B; chmod 755 " +
        dir() + " " + dir() + "/run");
  }
  void TearDown() override {
    jobs_.clear();
    kill();
    if (disk_) run_shell("umount " + builds());
    disk_.reset();
    BareDaemonFixture::TearDown();
  }

  // Critical below 150 MiB of about 290; `grace` as in the configuration.
  void start_here(const std::string& grace, bool purge = true, bool dry_run = false) {
    Options options;
    options.disk = "watch: [ { path: " + disk() + ", gate: true } ], min_free: 150MiB, min_free_inodes: 100, " +
                   "reclaim_below: 10%, reclaim_to: 12%, ballast: 0B, keep_used_within: " + grace + ", grace: " + grace;
    options.state = disk() + "/state";
    options.data_root = disk() + "/docker";
    options.dry_run = dry_run;
    options.builds = builds();
    options.agent = user();
    options.git_mirrors = disk() + "/mirrors";
    options.more = std::string("on_full: { purge_mirrors: true, purge_builds: ") + (purge ? "true" : "false") + " }\n" +
                   "jobs: { admission_wait: 20s }\n";
    start(options);
  }
  // Of the agent's user, ten megabytes, one after another.
  void make(const std::string& name) const {
    shell("mkdir -p $B/" + name + "/.git; cd $B/" + name +
          "; fallocate -l 10M file; ln -s / root; ln -s $D/outside out; chown -hR $U:$U $B/*; sleep 0.02; touch "
          ".git/index");
  }
  // So many MiB are free from now on.
  void leave(int mebibytes) const {
    // Never more than that meanwhile: somebody measures.
    shell(
        "touch $D/docker/big; sync -f $D; before=$(stat -c %s $D/docker/big); "
        "after=$(( before + $(df -B1 --output=avail $D | tail -1) - " +
        std::to_string(mebibytes) +
        " * 1048576 )); if ((after > before)); then fallocate -l $after $D/docker/big; "
        "else truncate -s $after $D/docker/big; fi");
  }
  void fill_to_critical() const { leave(120); }
  void shell(const std::string& script) const {
    const auto done = run_shell("set -e; U=" + user() + " D=" + disk() + " B=" + builds() + "; " + script);
    ASSERT_EQ(done.exit_code, 0) << script << "\n" << done.out;
  }
  // A process of the agent's user with the environment of a job, doing `what`.
  void start_job(const std::string& id, const std::string& agent, const std::string& what) {
    const std::vector<std::string> words = {"setpriv",
                                            "--reuid",
                                            user(),
                                            "--regid",
                                            user(),
                                            "--clear-groups",
                                            "env",
                                            "BUILDKITE_JOB_ID=" + id,
                                            "BUILDKITE_AGENT_NAME=" + agent,
                                            "bash",
                                            "-c",
                                            what};
    jobs_.push_back(std::make_unique<BackgroundProcess>(words, dir() + "/job-" + id + ".log"));
  }
  // Asks for admission from the job's own process, as its environment hook does.
  void ask(const std::string& id, const std::string& agent, const std::string& pipeline, int mebibytes) {
    std::ostringstream what;
    what << "curl -sS --max-time 120 --unix-socket " << dir() << "/run/api.sock http://localhost/v1/jobs -d '{\"id\":\""
         << id << "\",\"agent\":\"" << agent << "\",\"pipeline\":\"" << pipeline << "\",\"checkout_path\":\""
         << builds() << "/" << agent << "/acme/" << pipeline << "\",\"need_bytes\":" << mebibytes * 1'048'576LL
         << "}'; sleep 600";
    start_job(id, agent, what.str());
  }
  void forget_jobs() { jobs_.clear(); }
  [[nodiscard]] bool is_running(const std::string& id) const {
    return query("/v1/jobs", "[.jobs[].id] | index(\"" + id + "\") != null") == "true";
  }
  [[nodiscard]] bool exists(const std::string& name) const { return fs::exists(builds() + "/" + name); }
  // The purged ones, in their order.
  [[nodiscard]] std::vector<std::string> purged() const {
    std::istringstream lines(
        query("/v1/events?since=0",
              ".events[] | select(.kind == \"reclaim.step\" and .fields.rung == \"checkouts\") | .fields.name"));
    std::vector<std::string> names;
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) names.push_back(line.substr(line.find(' ') + 1));
    }
    return names;
  }
  [[nodiscard]] std::string reasons(const std::string& kind) const {
    return query("/v1/events?since=0", ".events[] | select(.kind == \"" + kind + "\") | .reason");
  }
  [[nodiscard]] const std::string& disk() const { return disk_->folder(); }
  [[nodiscard]] std::string builds() const { return disk() + "/home/builds"; }

 private:
  std::optional<LoopDisk> disk_;
  std::vector<std::unique_ptr<BackgroundProcess>> jobs_;
};

TEST_F(CheckoutsOnADisk, IdleOnesGoByLastUseAndWhatAnybodyUsesStays) {
  for (const std::string name : {"ci-1/acme/open", "ci-1/acme/cwd", "ci-1/acme/leased", "ci-2/acme/unregistered",
                                 "ci-2/acme/too", "ci-3/acme/first", "ci-1/acme/second", "ci-3/acme/third"}) {
    make(name);
  }
  shell(
      "chown -R 100000:100000 $B/ci-3/acme/first; chattr +i $B/ci-3/acme/first/file; sleep 0.02; touch "
      "$B/ci-1/acme/second/.git/HEAD; sleep 0.02; touch $B/ci-3/acme/third/.git/FETCH_HEAD");
  // What an earlier daemon had no time for.
  shell(
      "mkdir -p $B/.buildwarden-trash/1-2/sub; chmod 700 $B/.buildwarden-trash; touch "
      "$B/.buildwarden-trash/1-2/sub/file");
  start_job("in-cwd", "elsewhere", "cd " + builds() + "/ci-1/acme/cwd; sleep 600");
  start_job("in-open", "elsewhere", "exec 3< " + builds() + "/ci-1/acme/open/file; cd /; sleep 600");
  start_job("U", "ci.2", "cd /; sleep 600");
  start_here("1s");
  EXPECT_EQ(curl("/v1/jobs",
                 "-f -d '{\"id\":\"L\",\"agent\":\"ci-1\",\"checkout_path\":\"" + builds() + "/ci-1/acme/leased\"}'")
                .exit_code,
            0);
  fill_to_critical();
  ASSERT_TRUE(eventually([this] { return purged().size() == 3; })) << query("/v1/events?since=0", ".") << log();
  ASSERT_TRUE(eventually([this] { return !reasons("reclaim.short").empty(); }));
  EXPECT_THAT(purged(), ElementsAre("ci-3/acme/first", "ci-1/acme/second", "ci-3/acme/third"));
  for (const std::string name : {"ci-3/acme/first", "ci-1/acme/second", "ci-3/acme/third", ".buildwarden-trash/1-2"}) {
    EXPECT_FALSE(exists(name)) << name;
  }
  for (const std::string name :
       {"ci-1/acme/open", "ci-1/acme/cwd", "ci-1/acme/leased", "ci-2/acme/unregistered", "ci-2/acme/too"}) {
    EXPECT_TRUE(exists(name + "/file")) << name;
  }
  EXPECT_EQ(read_text(disk() + "/outside/file"), "precious\n");
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr("Deleted checkout ci-3/acme/first (last used "));
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr(" ago by .git/FETCH_HEAD, which is longer than 1s; "));
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr(" s to get back (estimated), used once in "));
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr(" s an hour for each GiB): freed 10.0 MiB"));
  EXPECT_THAT(reasons("checkout.kept"), HasSubstr("5 of 8 checkouts are in use"));
  EXPECT_THAT(reasons("checkout.kept"), HasSubstr("lease L"));
  const auto sized = [this] {
    return query("/v1/disk", ".filesystems[].users[] | select(.kind == \"checkouts\") | .name").find("ci-1") == 0;
  };
  EXPECT_TRUE(eventually(sized)) << query("/v1/disk", ".");
  EXPECT_EQ(stop(), 0);
}

TEST_F(CheckoutsOnADisk, WithoutPurgeBuildsNoneIsEverTouched) {
  for (const std::string name : {"ci-1/acme/web", "ci-2/acme/api"}) make(name);
  start_here("1s", false);
  fill_to_critical();
  ASSERT_TRUE(eventually([this] { return shows(disk(), ".level", "critical"); }));
  const auto refused =
      curl("/v1/jobs", "-o " + dir() + "/refused -w '%{http_code}' -d '{\"id\":\"9\",\"agent\":\"ci-1\"}'");
  EXPECT_TRUE(eventually([this] { return events("job.refused") == 1; })) << refused.out << log();
  EXPECT_THAT(purged(), IsEmpty());
  EXPECT_TRUE(exists("ci-1/acme/web/file"));
  EXPECT_TRUE(exists("ci-2/acme/api/file"));
  EXPECT_EQ(stop(), 0);
}

// Without the bind mount the agent's user may put anything in the place of the builds: a link to where only root may
// enter, and what lies there looks like checkouts.
TEST_F(CheckoutsOnADisk, ALinkThatAJobPutInThePlaceOfTheBuildsLeadsNowhere) {
  shell(
      "umount $B; mkdir -p $D/outside/ci-9/acme/keys; fallocate -l 10M $D/outside/ci-9/acme/keys/file; chmod 700 "
      "$D/outside; setpriv --reuid $U --regid $U --clear-groups bash -c \"cd $D/home; mv builds b2; ln -s $D/outside "
      "builds\"");
  start_here("1s");
  fill_to_critical();
  ASSERT_TRUE(eventually([this] { return shows(disk(), ".level", "critical"); }));
  // Until nothing there is young any more, the daemon itself included.
  const auto old = [this] {
    return run_shell("(( $(date +%s) - $(stat -c %Z " + dir() + "/run/api.sock) > 2 ))").exit_code == 0;
  };
  ASSERT_TRUE(eventually(old));
  const auto done = curl("/v1/disk/reclaim", "-d '{}'");
  EXPECT_THAT(done.out, HasSubstr("all that is allowed was done")) << log();
  EXPECT_THAT(purged(), IsEmpty());
  EXPECT_TRUE(fs::exists(disk() + "/outside/ci-9/acme/keys/file"));
  EXPECT_FALSE(fs::exists(disk() + "/outside/.buildwarden-trash"));
  EXPECT_EQ(events("deletion.refused"), 1);
  EXPECT_THAT(query("/v1/status", ".refused_roots[].reason"), HasSubstr("is a link of uid " + user()));
  EXPECT_EQ(stop(), 0);
}

TEST_F(CheckoutsOnADisk, ADryRunNamesTheSameAndDeletesNone) {
  for (const std::string name : {"ci-1/acme/first", "ci-2/acme/second"}) make(name);
  start_here("1s", true, true);
  fill_to_critical();
  ASSERT_TRUE(eventually([this] { return purged().size() >= 2; })) << log();
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr("Would delete checkout ci-1/acme/first"));
  EXPECT_EQ(purged()[0], "ci-1/acme/first");
  EXPECT_EQ(purged()[1], "ci-2/acme/second");
  EXPECT_TRUE(exists("ci-1/acme/first/file"));
  EXPECT_TRUE(exists("ci-2/acme/second/file"));
  EXPECT_FALSE(exists(".buildwarden-trash"));
  EXPECT_EQ(stop(), 0);
}

// The stack's default: whoever asks is the only agent, its earlier checkouts are all there is, and they are young.
TEST_F(CheckoutsOnADisk, TheOnlyAgentsNextJobGetsRoomFromWhatItLeftAndItsOwnGoesLast) {
  for (const std::string name : {"ci-1/acme/web", "ci-1/acme/api"}) make(name);
  start_here("1h");
  fill_to_critical();
  ASSERT_TRUE(eventually([this] { return shows(disk(), ".level", "critical"); }));
  EXPECT_THAT(purged(), IsEmpty()) << "the background spares what is young";
  leave(144);
  ask("J1", "ci-1", "web", 0);
  ASSERT_TRUE(eventually([this] { return is_running("J1"); })) << query("/v1/events?since=0", ".") << log();
  EXPECT_THAT(purged(), ElementsAre("ci-1/acme/api"));
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr("its agent's job is over"));
  EXPECT_TRUE(exists("ci-1/acme/web/file"));
  // While that one runs, another agent's job finds nothing that is idle.
  leave(130);
  ASSERT_TRUE(eventually([this] { return shows(disk(), ".level", "critical"); }));
  ask("J2", "ci-2", "web", 0);
  ASSERT_TRUE(eventually([this] { return events("job.refused") == 1; })) << log();
  EXPECT_TRUE(exists("ci-1/acme/web/file"));
  // Its own earlier checkout, when nothing else is left.
  EXPECT_EQ(curl("/v1/jobs/J1", "-f -X DELETE").exit_code, 0);
  forget_jobs();
  leave(144);
  ask("J3", "ci-1", "web", 0);
  ASSERT_TRUE(eventually([this] { return is_running("J3"); })) << query("/v1/events?since=0", ".") << log();
  EXPECT_FALSE(exists("ci-1/acme/web"));
  EXPECT_EQ(stop(), 0);
}

// Real mirrors, as the agent makes and uses them: --reference, a lock held, neither (issue 16, number 9).
TEST_F(CheckoutsOnADisk, GitMirrorsThatNobodyNeedsGoAfterTheCheckouts) {
  shell(
      "mkdir -p $D/mirrors/.git-mirror-seed-left/extract; cd $D; export HOME=$D; git init -q repo; cd repo\n"
      "head -c 10M /dev/urandom > file; git add file; git -c user.name=a -c user.email=a@b commit -qm one\n"
      "for mirror in lent locked idle; do git clone -q --mirror --no-local file://$D/repo $D/mirrors/$mirror; done\n"
      "cd $D; rm -rf repo; head -c 1M /dev/zero > $D/mirrors/.git-mirror-seed-left/extract/part\n"
      "git clone -q --shared $D/mirrors/lent $B/ci-1/acme/web\n"
      "grep -q mirrors/lent/objects $B/ci-1/acme/web/.git/objects/info/alternates\n"
      "touch $D/mirrors/locked.updatelockf; chown -R $U:$U $D/mirrors/* $B/*");
  const BackgroundProcess locker({"flock", disk() + "/mirrors/locked.updatelockf", "sleep", "600"},
                                 dir() + "/locker.log");
  ASSERT_TRUE(eventually(
      [&] { return run_shell("! flock --nonblock " + disk() + "/mirrors/locked.updatelockf true").exit_code == 0; }));
  start_here("1s", false);
  fill_to_critical();
  const auto gone = [&](const std::string& name) { return !fs::exists(disk() + "/mirrors/" + name); };
  ASSERT_TRUE(eventually([&] { return gone("idle") && gone(".git-mirror-seed-left"); })) << log();
  EXPECT_FALSE(gone("lent") || gone("locked")) << reasons("reclaim.step");
  EXPECT_EQ(run_shell("git -c safe.directory=* -C " + builds() + "/ci-1/acme/web fsck").exit_code, 0);
  EXPECT_TRUE(exists("ci-1/acme/web/file")) << "purge_builds is false";
  EXPECT_THAT(reasons("reclaim.step"), HasSubstr("Deleted git mirror idle"));
  ASSERT_TRUE(eventually([&] {
    return query("/v1/disk", ".filesystems[].users[].kind").find("git_mirror") != std::string::npos;
  })) << query("/v1/disk", ".");
  EXPECT_EQ(stop(), 0);
}

TEST_F(CheckoutsOnADisk, AJobThatWasStartedWhileTheDaemonWasDownKeepsItsCheckout) {
  for (const std::string name : {"ci-1/acme/web", "ci-2/acme/web"}) make(name);
  start_here("1s");
  kill();
  start_job("D", "ci-1", "cd /; sleep 600");
  fill_to_critical();
  start_here("1s");
  ASSERT_TRUE(eventually([this] { return !purged().empty() && !reasons("reclaim.short").empty(); })) << log();
  EXPECT_THAT(purged(), ElementsAre("ci-2/acme/web"));
  EXPECT_TRUE(exists("ci-1/acme/web/file"));
  EXPECT_THAT(reasons("checkout.kept"), HasSubstr("a job of that agent"));
  EXPECT_EQ(stop(), 0);
}

}  // namespace
}  // namespace buildwarden::testing
