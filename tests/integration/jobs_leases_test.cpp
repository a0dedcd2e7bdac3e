// Leases on the real program, without an engine: what hostile, odd and unlucky jobs meet, and ten thousand of them.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <filesystem>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "common/tick.h"
#include "tests/bench/connection.h"
#include "tests/support/plain_daemon.h"

namespace buildwarden::testing {
namespace {

using std::chrono::milliseconds;

class Leases : public PlainDaemonFixture {
 protected:
  void SetUp() override {
    PlainDaemonFixture::SetUp();
    if (IsSkipped()) return;
    // For another user's job, and on a tmpfs, as /run is.
    const auto made = run_shell("set -e; mkdir " + in("run") + "; mount -t tmpfs -o mode=755 bw " + in("run") +
                                "; chmod 755 " + in("") + "; install -m 755 \"$BUILDWARDEN_BIN\" " + in("buildwarden"));
    ASSERT_EQ(made.exit_code, 0) << made.out;
    replace("buildwarden.yaml",
            "builders: [ { name: s3, aliases: [shared], cache: { type: registry, ref: registry.example/cache } } ]\n"
            "emulation: { platforms: [] }\n"
            "disk: { watch: [ { path: " +
                in("run") +
                " } ], min_free: 1MiB, reclaim_below: 2MiB, reclaim_to: 3MiB, "
                "min_free_inodes: 10, ballast: 0B }\n"
                "agent: { user: \"2000\", group: \"2000\", unit: \"\" }\n"
                "jobs: { reuse_context: true }\n"
                "engine: { socket: " +
                in("engine.sock") + " }\nlisten: { socket: " + in("run/api.sock") +
                ", tcp: \"\" }\n"
                "paths: { run: " +
                in("run") + ", state: " + in("state") + ", builds: " + in("agent/builds") +
                ", cfn_env: " + in("cfn-env") + ", agent_env: " + in("env") + ", daemon_json: " + in("daemon.json") +
                ", docker_binfmt_env: " + in("binfmt.env") + " }\n");
  }
  void TearDown() override {
    if (IsSkipped()) return;
    PlainDaemonFixture::TearDown();
    end_daemon();
    EXPECT_EQ(run_shell("umount " + in("run")).exit_code, 0);
  }
  void start() {
    start_daemon();
    wait_until_it_answers();
  }
  void end_daemon() {
    if (!has_started()) return;
    daemon().send(SIGKILL);
    daemon().wait();
  }
  // buildwarden's client, as `uid`.
  [[nodiscard]] CommandResult client(const std::string& words, const std::string& uid = "2000") const {
    return run_shell("cd /; setpriv --reuid " + uid + " --regid " + uid + " --clear-groups env -i BUILDX_CONFIG=" +
                     in("nowhere") + " " + in("buildwarden") + " --socket " + in("run/api.sock") + " " + words);
  }
  [[nodiscard]] std::set<std::string> known() const {
    std::set<std::string> ids;
    std::istringstream lines(query("/v1/jobs", ".jobs[].id"));
    for (std::string line; std::getline(lines, line);) ids.insert(line);
    return ids;
  }
};

// ---- values that would do harm wherever quoting is not right

std::string json_text(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      text += escape;
    } else {
      text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
  }
  return text + '"';
}

// Of pieces that shells, JSON and terminals care for; `broken`: not UTF-8 any more.
std::string hostile_value(std::mt19937& random, bool broken) {
  static const std::vector<std::string> pieces = {"$(touch pwned)",
                                                  "`touch pwned`",
                                                  "'; touch pwned; '",
                                                  "\"; touch pwned; \"",
                                                  "\n",
                                                  "\n touch pwned\n",
                                                  "\\",
                                                  "'",
                                                  "\"",
                                                  "$",
                                                  "${HOME}",
                                                  ";",
                                                  "&& exit 9",
                                                  "|",
                                                  "-rf",
                                                  "--",
                                                  "%s",
                                                  "\r",
                                                  "\t",
                                                  "\x1b[2J",
                                                  "\x7f",
                                                  "caf\xc3\xa9",
                                                  "*",
                                                  "../..",
                                                  "#",
                                                  "\n'",
                                                  "EOF",
                                                  "\xe2\x80\xa8",
                                                  "s3",
                                                  "/",
                                                  std::string(1, '\0')};
  std::string value;
  const auto count = 1 + random() % 5;
  for (std::size_t i = 0; i < count; ++i) value += pieces[random() % pieces.size()];
  if (broken) value.insert(random() % (value.size() + 1), "\xff\xc3");
  return value;
}

// What a shell made of the answer to `body`: "201 0" = the answer's status and the evaluated script's, and the names of
// the variables that the shell's children see, one after another.
struct Evaluated {
  std::string result;
  std::string names;
};

Evaluated evaluate(const std::string& folder, const std::string& shell) {
  const auto ran =
      run_shell("cd " + folder + "/cwd; env -i PATH=/usr/bin:/bin BUILDX_CONFIG=" + folder + "/bx " + shell +
                " -c 'script=$(curl -s --max-time 120 --unix-socket " + folder +
                "/run/api.sock -H \"Accept: text/x-shellscript\" --data-binary @" + folder +
                "/body -w \"\\n# %{http_code}\" http://localhost/v1/jobs); status=${script##*# }; eval \"$script\"; "
                "result=$?; echo \"RESULT $status $result\"; env | cut -d= -f1 | grep -vx -e _ -e SHLVL | sort | paste "
                "-sd\" \"'");
  std::istringstream lines(ran.out.substr(std::min(ran.out.rfind("RESULT "), ran.out.size())));
  Evaluated evaluated;
  std::getline(lines, evaluated.result);
  std::getline(lines, evaluated.names);
  return evaluated;
}

TEST_F(Leases, NothingThatAJobSendsIsExecutedByTheShellThatEvaluatesTheAnswer) {
  start();
  std::filesystem::create_directory(in("cwd"));
  std::mt19937 random(20261124);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same values each time
  const std::string plain = "BUILDX_CONFIG PATH PWD";
  const std::string cache = "BUILDWARDEN_CACHE_FROM BUILDWARDEN_CACHE_TO ";
  // 409: the victim runs already, with another agent, pipeline or checkout.
  const std::set<std::string> results = {"RESULT 200 0", "RESULT 201 0", "RESULT 400 2", "RESULT 409 2"};
  std::set<std::string> seen;
  for (int round = 0; round < 6; ++round) {
    for (const std::string field :
         {"id", "agent", "pipeline", "checkout_path", "cache_name", "use", "builders[", "platforms[", "unknown"}) {
      const bool broken = round == 5;
      const auto value = json_text(hostile_value(random, broken));
      const auto name = field.substr(0, field.find('['));
      replace("body", "{" + std::string(name == "id" ? "" : R"("id":"victim",)") + "\"" + name +
                          "\":" + (name == field ? value : "[" + value + "]") + "}");
      for (const std::string shell : {"dash", "bash"}) {
        const auto got = evaluate(in(""), shell);
        ASSERT_TRUE(results.contains(got.result)) << got.result << shell << read_text(in("body"));
        ASSERT_TRUE(!broken || got.result == "RESULT 400 2") << shell << read_text(in("body"));
        ASSERT_TRUE(got.names == plain || got.names == cache + plain) << got.names << shell << read_text(in("body"));
        ASSERT_TRUE(std::filesystem::is_empty(in("cwd"))) << shell << read_text(in("body"));
        seen.insert(got.result);
      }
    }
  }
  EXPECT_EQ(seen, results) << "some of each were tried";
  EXPECT_EQ(status("/healthz"), 200);
}

// ---- jobs and their processes

TEST_F(Leases, AJobNamesAProcessOfItsOwnAndEndsWithIt) {
  start();
  const BackgroundProcess roots({"sleep", "600"}, in("out"));
  EXPECT_EQ(client("job start --id 1 --pid " + std::to_string(roots.pid())).exit_code, 4) << "another user's";
  EXPECT_EQ(client("job start --id 1 --pid 1", "0").exit_code, 2);
  EXPECT_EQ(query("/v1/jobs", ".code", "-d '{\"id\":\"1\",\"pid\":1}'"), "invalid");
  EXPECT_EQ(query("/v1/jobs", ".code", "-d '{\"id\":\"1\",\"pid\":4194303}'"), "invalid") << "there is none";
  EXPECT_TRUE(known().empty());
  BackgroundProcess own({"setpriv", "--reuid", "2000", "--regid", "2000", "--clear-groups", "sleep", "600"}, in("out"));
  const auto started = [&] { return client("job start --id 2 --pid " + std::to_string(own.pid())).exit_code == 0; };
  ASSERT_TRUE(eventually(started)) << "once it is that user's";
  EXPECT_EQ(query("/v1/jobs", ".jobs[0].expires_at"), "null");
  EXPECT_EQ(client("job end --id 2", "2001").exit_code, 4) << "not another user's to end";
  own.send(SIGKILL);
  own.wait();
  EXPECT_TRUE(eventually([this] { return known().empty(); }));
  EXPECT_EQ(query("/v1/events?since=0", "[.events[] | select(.kind == \"job.ended\")][0].rule"), "pid_ended");
}

// A sweep comes once in a tick: of three ends, one after another, it would see the last two ticks after the first.
TEST_F(Leases, TheEndOfAProcessIsSeenAtOnceAndNotAtTheNextSweep) {
  start();
  const auto begun = std::chrono::steady_clock::now();
  for (const std::string id : {"1", "2", "3"}) {
    const BackgroundProcess own({"sleep", "600"}, in("out"));
    ASSERT_EQ(client("job start --id " + id + " --pid " + std::to_string(own.pid()), "0").exit_code, 0);
    own.send(SIGKILL);
    EXPECT_TRUE(eventually([this] { return known().empty(); }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2 * kIdleTick);
}

TEST_F(Leases, TimeEndsALeaseThatNothingElseEndsAndARenewalProlongsItAlsoAfterARestart) {
  start();
  ASSERT_EQ(client("job start --id short --ttl 1s").exit_code, 0);
  ASSERT_EQ(client("job start --id long --ttl 20m").exit_code, 0);
  EXPECT_TRUE(eventually([this] { return known() == std::set<std::string>{"long"}; }));
  EXPECT_EQ(stop_daemon(), 0);
  start();
  EXPECT_EQ(known(), std::set<std::string>{"long"});
  const auto left =
      query("/v1/jobs/long", "(.expires_at | sub(\"\\\\..*\"; \"Z\") | fromdate) - now | floor", "-X PUT");
  EXPECT_GT(std::stoi(left), 600) << "its own ttl, from now on";
  EXPECT_LE(std::stoi(left), 1200);
}

// ---- no daemon, or a silent one

void expect_nothing(const CommandResult& ran, double longest) {
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_NE(ran.out.find("the job goes on without it"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("export"), std::string::npos) << ran.out;
  EXPECT_LT(ran.seconds, longest);
}

// How long a process takes that sleeps for as long as the client waits for a silent daemon.
double two_seconds() { return run_shell("sleep 2").seconds; }

TEST_F(Leases, WithoutADaemonJobsGoOn) {
  const auto patience = two_seconds();
  for (const std::string words : {"job start --id 1 --use s3", "job end --id 1"})
    expect_nothing(client(words), patience);
  const auto socket = in("run/api.sock");
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::chmod(socket.c_str(), 0666), 0);
  for (const std::string words : {"job start --id 1 --use s3", "job end --id 1"})
    expect_nothing(client(words), patience);
  ASSERT_EQ(::listen(listener, 8), 0);  // and nobody accepts
  for (const std::string words : {"job start --id 1 --use s3", "job end --id 1"})
    expect_nothing(client(words), 2 * patience);
  ::close(listener);
  ::unlink(socket.c_str());
}

TEST_F(Leases, AFrozenDaemonCostsAJobTwoSeconds) {
  const auto patience = two_seconds();
  start();
  daemon().send(SIGSTOP);
  for (const std::string words : {"job start --id 1 --use s3", "job end --id 1"})
    expect_nothing(client(words), 2 * patience);
  daemon().send(SIGCONT);
  EXPECT_EQ(client("job start --id 2").exit_code, 0);
}

// ---- ten thousand

// Started and ended, with a window of them alive; whatever was answered is true after any end of the daemon.
class Crowd {
 public:
  Crowd(std::string socket, std::size_t window) : socket_(std::move(socket)), window_(window) {}

  // Throws when the daemon is gone; the lease that was on its way is then neither known nor unknown.
  void turn(bench::Connection& connection, pid_t pid) {
    const auto id = "lease-" + std::to_string(begun_);
    doubtful_ = id;
    const auto process = begun_ % 3 == 0 ? ",\"pid\":" + std::to_string(pid) : std::string(",\"ttl_seconds\":3600");
    expect(connection.exchange("POST", "/v1/jobs", "{\"id\":\"" + id + "\",\"pipeline\":\"p\"" + process + "}"), 200,
           201);
    alive_.push_back(id);
    ++begun_;
    for (; alive_.size() > window_; alive_.pop_front()) {
      doubtful_ = alive_.front();
      expect(connection.exchange("DELETE", "/v1/jobs/" + doubtful_), 204, 404);
    }
    doubtful_.clear();
  }
  void end_all() {
    bench::Connection connection(socket_);
    for (; !alive_.empty(); alive_.pop_front())
      expect(connection.exchange("DELETE", "/v1/jobs/" + alive_.front()), 204, 404);
  }
  // Of `known`: those that are missing or too many, but for the one in doubt.
  [[nodiscard]] std::string wrong(const std::set<std::string>& known) const {
    std::string text;
    for (const auto& id : alive_) {
      if (!known.contains(id) && id != doubtful_) text += " lost " + id;
    }
    for (const auto& id : known) {
      if (std::find(alive_.begin(), alive_.end(), id) == alive_.end() && id != doubtful_) text += " leaked " + id;
    }
    return text;
  }
  [[nodiscard]] std::size_t begun() const { return begun_; }
  [[nodiscard]] std::size_t alive() const { return alive_.size(); }

 private:
  static void expect(int status, int one, int other) {
    if (status != one && status != other) throw std::logic_error("answered " + std::to_string(status));
  }

  std::string socket_;
  std::size_t window_;
  std::size_t begun_ = 0;
  std::deque<std::string> alive_;
  std::string doubtful_;
};

long memory_kib(pid_t pid, const std::string& what) {
  return std::stol(
      "0" +
      run_shell("awk '/^" + what + ":/ { printf \"%s\", $2 }' /proc/" + std::to_string(pid) + "/smaps_rollup").out);
}

TEST_F(Leases, TenThousandOverTwentyRestartsAreNeitherLostNorLeakedNorCostMemory) {
  const char* const wanted = std::getenv("BUILDWARDEN_SOAK_LEASES");  // NOLINT(concurrency-mt-unsafe)
  const auto all = wanted == nullptr ? 10'000UL : std::stoul(wanted);
  constexpr std::size_t kLives = 21;
  constexpr std::size_t kWindow = 200;
  std::mt19937 random(20261125);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same moments each time
  const BackgroundProcess process({"sleep", "3600"}, in("out"));
  Crowd crowd(in("run/api.sock"), kWindow);
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t life = 0; life < kLives; ++life) {
    start();
    ASSERT_EQ(crowd.wrong(known()), "") << "life " << life;
    // The first one long enough to fill what is bounded, such as the latest events, and then to see what grows.
    const auto until = life == 0 ? all * 3 / 10 : all * 3 / 10 + (all * 7 / 10) * life / (kLives - 1);
    const bool last = life + 1 == kLives;
    const bool by_kill = life % 2 == 1;
    std::jthread killer;
    try {
      bench::Connection connection(in("run/api.sock"));
      long before = 0;
      while (crowd.begun() < until) {
        crowd.turn(connection, process.pid());
        if (life == 0 && crowd.begun() == until / 2) before = memory_kib(daemon().pid(), "Anonymous");
        if (by_kill && !last && !killer.joinable() && crowd.begun() + 100 >= until) {
          // In the middle of things.
          const milliseconds after(random() % 20);
          killer = std::jthread([this, after] {
            std::this_thread::sleep_for(after);
            daemon().send(SIGKILL);
          });
        }
      }
      if (life == 0) {
        const auto after = memory_kib(daemon().pid(), "Anonymous");
        std::printf("anonymous memory after %zu leases %ld KiB, after %zu %ld KiB\n", until / 2, before, until, after);
        const bool sanitized = before > 100 * 1024;  // whose memory says nothing
        EXPECT_TRUE(sanitized || after - before < 1024);
      }
    } catch (const std::runtime_error&) {
      ASSERT_TRUE(by_kill);  // it was killed in the middle of an answer
    }
    if (killer.joinable()) killer.join();
    if (last) break;
    if (by_kill) {
      daemon().wait();
    } else {
      ASSERT_EQ(stop_daemon(), 0);
    }
  }
  EXPECT_EQ(crowd.begun(), all);
  EXPECT_EQ(crowd.alive(), kWindow);
  EXPECT_EQ(crowd.wrong(known()), "");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%zu leases, %zu restarts, %.1f s; at the end PSS %ld KiB, RSS %ld KiB\n", all, kLives - 1, took.count(),
              memory_kib(daemon().pid(), "Pss"), memory_kib(daemon().pid(), "Rss"));
  crowd.end_all();
  EXPECT_EQ(query("/v1/jobs", ".jobs | length"), "0");
  EXPECT_EQ(query("/v1/builders", ".builders[0].leases | length"), "0");
  EXPECT_EQ(run_shell("jq '.leases | length' " + in("run/leases.json")).out, "0\n");
}

}  // namespace
}  // namespace buildwarden::testing
