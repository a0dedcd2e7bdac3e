// A job as an attacker, a real uid 2000 in the socket's group and without Docker, and a typo (issue 14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/support/bare_daemon.h"
#include "tests/support/loop_disk.h"

namespace buildwarden::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kAttacker = "setpriv --reuid 2000 --regid 2000 --clear-groups ";

class JobsBounds : public BareDaemonFixture {
 protected:
  void SetUp() override {
    BareDaemonFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    disk_.emplace(dir() + "/disk.img", mounts() + "/disk", "ext4");
    cache_ = disk_->folder() + "/cache/everybodys";
    const auto made = run_shell("set -e; chmod 711 " + dir() + "; mkdir -p " + disk_->folder() + "/docker " + cache_ +
                                "; head -c 20M /dev/zero > " + cache_ + "/layer; touch -d '3 days ago' " + cache_ +
                                "/layer " + cache_);
    ASSERT_EQ(made.exit_code, 0) << made.out;
    begin();
  }
  void TearDown() override {
    kill();
    disk_.reset();
    BareDaemonFixture::TearDown();
  }
  void begin() {
    const auto& folder = disk_->folder();
    start({.disk = "watch: [ { path: " + folder + ", gate: true } ], cache_dirs: [ " + folder +
                   "/cache ], min_free: 16MiB, min_free_inodes: 100, reclaim_below: 10%, reclaim_to: 50%, ballast: 0B, "
                   "keep_used_within: 1s, grace: 1s",
           .state = folder + "/state",
           .data_root = folder + "/docker",
           .agent = "2000"});
    ASSERT_TRUE(eventually([&] { return shows(folder, ".level", "ok"); })) << query("/v1/disk", ".");
  }
  [[nodiscard]] bool cache_is_there() const { return std::filesystem::exists(cache_ + "/layer"); }

  // The whole answer with its head.
  [[nodiscard]] std::string ask(const std::string& who, const std::string& method, const std::string& path,
                                const std::string& body = "") const {
    return run_shell(who + "curl -sS -i --max-time 60 --unix-socket " + dir() + "/run/api.sock -X " + method + " -d '" +
                     body + "' http://localhost" + path)
        .out;
  }
  // What a Python script prints that has `ask(method, path, body)`, which gives the status and how long it took.
  [[nodiscard]] CommandResult script(const std::string& who, const std::string& text) const {
    const auto file = dir() + "/script.py";
    std::ofstream(file) << R"(import http.client, json, socket, time
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(")"
                        << dir() << R"(/run/api.sock")
link = Unix("localhost")
def ask(method, path, body=None):
    began = time.monotonic()
    link.request(method, path, None if body is None else json.dumps(body))
    answer = link.getresponse()
    answer.read()
    return answer.status, time.monotonic() - began
)" << text;
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    return run_shell(who + "/usr/bin/python3 " + file);
  }
  [[nodiscard]] const std::string& folder() const { return disk_->folder(); }

 private:
  std::optional<LoopDisk> disk_;
  std::string cache_;
};

TEST_F(JobsBounds, ATypoDeletesNothingAndPausesNobody) {
  const auto may_go = [&] {
    return ask("", "POST", "/v1/disk/reclaim", R"({"dry_run":true,"target_free_bytes":300000000})")
               .find("everybodys") != std::string::npos;
  };
  ASSERT_TRUE(eventually(may_go)) << "once it is older than a second: " << log();
  const auto never = ask(kAttacker, "POST", "/v1/jobs", R"({"id":"typo","need_bytes":1099511627776})");
  EXPECT_THAT(never, HasSubstr("507 "));
  EXPECT_THAT(never, HasSubstr(R"("rule":"never_fits")"));
  EXPECT_THAT(never, HasSubstr(R"("pause_agent":false)"));
  EXPECT_TRUE(cache_is_there());
  const auto free = std::stoll(of_disk(folder(), ".free_bytes"));
  const auto more = R"({"id":"typo","need_bytes":)" + std::to_string(free + 8 * 1'048'576) + "}";
  const auto above = ask(kAttacker, "POST", "/v1/jobs", more);
  EXPECT_THAT(above, HasSubstr(R"("rule":"above_reclaim_to")"));
  EXPECT_THAT(above, HasSubstr(R"("pause_agent":false)"));
  EXPECT_TRUE(cache_is_there());
  EXPECT_THAT(ask("", "POST", "/v1/jobs", more), HasSubstr("201 ")) << "root may";
  EXPECT_FALSE(cache_is_there());
}

TEST_F(JobsBounds, AReservationThatFitsExactlyRefusesNoOtherJob) {
  // But for what the daemon's own files may take meanwhile.
  const auto free = std::to_string(std::stoll(of_disk(folder(), ".free_bytes")) - 16 * 1'048'576);
  const auto greedy = ask("", "POST", "/v1/jobs", R"({"id":"42","pipeline":"web","need_bytes":)" + free + "}");
  EXPECT_THAT(greedy, HasSubstr("201 "));
  EXPECT_THAT(ask(kAttacker, "POST", "/v1/jobs", R"({"id":"plain"})"), HasSubstr("201 "));
  const auto refused = ask(kAttacker, "POST", "/v1/jobs", R"({"id":"needy","need_bytes":50000000})");
  EXPECT_THAT(refused, HasSubstr("507 "));
  EXPECT_THAT(refused, HasSubstr("reserved by job 42 of pipeline web"));
}

TEST_F(JobsBounds, OneUserCannotTakeAllPlacesNorKeepThem) {
  const auto filled = script(kAttacker, R"(
first = [ask("POST", "/v1/jobs", {"id": str(i)})[0] for i in range(300)]
print(first.count(201), first.count(503), first.index(503))
)");
  EXPECT_EQ(filled.out, "128 172 128\n");
  const auto full = ask(kAttacker, "POST", "/v1/jobs", R"({"id":"one more"})");
  EXPECT_THAT(full, HasSubstr("503 "));
  EXPECT_THAT(full, HasSubstr("Retry-After: "));
  EXPECT_THAT(ask("", "POST", "/v1/jobs", R"({"id":"roots"})"), HasSubstr("201 "));
  const auto week = ask(kAttacker, "POST", "/v1/jobs", R"({"id":"week","ttl_seconds":604800})");
  EXPECT_THAT(week, HasSubstr("400 "));
  EXPECT_THAT(week, HasSubstr("jobs.ttl"));
}

TEST_F(JobsBounds, JobsPushNothingElseOutOfTheJournal) {
  const auto flood = script(kAttacker, R"(
for i in range(12000):
    assert ask("POST", "/v1/jobs", {"id": "flood"})[0] == 201
    assert ask("DELETE", "/v1/jobs/flood")[0] == 204
)");
  EXPECT_EQ(flood.exit_code, 0) << flood.out;
  EXPECT_EQ(events("daemon.started"), 1);
  EXPECT_EQ(query("/v1/events", "[.events[] | select(.kind == \"daemon.started\")] | length"), "1");
  EXPECT_EQ(query("/v1/events", "[.events[].id] | . == sort"), "true") << "in order";
  EXPECT_EQ(stop(), 0);
  begin();
  EXPECT_EQ(events("daemon.started"), 2) << "over a restart as well";
}

TEST_F(JobsBounds, FatLeasesAreBoundedAndKeepNobodyWaiting) {
  const auto fat = ask(kAttacker, "POST", "/v1/jobs",
                       R"({"id":"fat","checkout_path":"/)" + std::string(4000, 'x') + R"(","agent":")" +
                           std::string(200, 'y') + R"("})");
  EXPECT_THAT(fat, HasSubstr("400 "));
  const auto put = script(kAttacker, R"(
for i in range(128):
    assert ask("POST", "/v1/jobs", {"id": str(i), "checkout_path": "/" + "x" * 3500})[0] == 201
took = sorted(ask("PUT", "/v1/jobs/%d" % (i % 128))[1] for i in range(500))
print("median %.1f ms, longest %.1f ms" % (took[250] * 1e3, took[-1] * 1e3))
assert took[250] < 0.1
)");
  EXPECT_EQ(put.exit_code, 0) << put.out;
  RecordProperty("put", put.out);
}

// What was answered is kept, although it is written behind the loop.
TEST_F(JobsBounds, AnAnswerOutlivesAKill) {
  for (int i = 0; i < 5; ++i) {
    const auto id = std::to_string(i);
    ASSERT_THAT(ask(kAttacker, "POST", "/v1/jobs", R"({"id":")" + id + R"("})"), HasSubstr("201 "));
    kill();
    begin();
    EXPECT_EQ(query("/v1/jobs", ".jobs[].id"), id);
    ASSERT_THAT(ask(kAttacker, "DELETE", "/v1/jobs/" + id), HasSubstr("204 "));
    kill();
    begin();
    EXPECT_EQ(query("/v1/jobs", ".jobs | length"), "0");
  }
}

}  // namespace
}  // namespace buildwarden::testing
