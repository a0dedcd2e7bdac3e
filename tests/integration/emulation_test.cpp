// Emulation on the real kernel with real QEMU. binfmt_misc is the machine's own: what was there stays, and what these
// tests register goes with them.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

constexpr const char* kTable = "/proc/sys/fs/binfmt_misc";
// The magic and mask of arm64, as QEMU's own table has them, in the form of `register`.
constexpr const char* kArm64 =
    R"(M:0:\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:)"
    R"(\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff)";

// An arm64 busybox from Debian, without touching the machine's own package lists.
constexpr const char* kDownload = R"(set -e
mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
cd "$1"
apt="apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::lists=$1/lists -o Dir::Cache=$1/cache -o APT::Sandbox::User=root"
$apt update
$apt download busybox-static:arm64
dpkg-deb -x busybox-static_*_arm64.deb "$1"
)";

class EmulationOnKernel : public DaemonFixture {
 protected:
  void SetUp() override {
    DaemonFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (::access("/usr/bin/qemu-aarch64-static", X_OK) != 0) GTEST_SKIP() << "qemu-user-static is not installed";
    was_mounted_ = ::access((std::string(kTable) + "/register").c_str(), F_OK) == 0;
    before_ = entries();
  }
  void TearDown() override {
    if (!dir().empty()) stop_daemon_if_running();
    for (const auto& name : split(entries())) {
      if (before_.find(name + "\n") == std::string::npos) write(name, "-1");
    }
    const auto after = entries();
    if (!was_mounted_) run_shell(std::string("umount ") + kTable);
    DaemonFixture::TearDown();
    EXPECT_EQ(after, before_) << "the machine's handlers are as they were";
  }

  void stop_daemon_if_running() {
    if (!started_) return;
    EXPECT_EQ(stop_daemon(), 0);
  }
  void start(const std::string& emulation) {
    DaemonOptions options;
    options.emulation = emulation;
    start_daemon(options);
    started_ = true;
  }
  // All names but those of the kernel's own two files, one a line.
  static std::string entries() {
    return run_shell(std::string("ls ") + kTable + " 2>/dev/null | grep -v -x -e register -e status").out;
  }
  static std::vector<std::string> split(const std::string& lines) {
    std::vector<std::string> all;
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }
  static void write(const std::string& name, const std::string& text) {
    std::ofstream(std::string(kTable) + "/" + name) << text;
  }
  static void add(const std::string& name, const std::string& interpreter, const std::string& flags) {
    write("register", ":" + name + ":" + kArm64 + ":" + interpreter + ":" + flags);
  }
  [[nodiscard]] std::string arm64(const std::string& field) const {
    return query("/v1/emulators", ".emulators[] | select(.platform == \"linux/arm64\") | ." + field);
  }
  [[nodiscard]] bool is_proven() const { return arm64("state") == "proven"; }
  void verify() const { EXPECT_EQ(api_status("/v1/emulators/verify", "-X POST"), 200); }
  [[nodiscard]] int restored() const { return std::stoi(arm64("restored")); }

  // A context whose RUN step executes a busybox of the platform.
  void make_context() const {
    const std::string folder = dir() + "/foreign";
    const char* given = std::getenv("BUILDWARDEN_TEST_ARM64_BUSYBOX");  // NOLINT(concurrency-mt-unsafe)
    std::string busybox = given == nullptr ? "" : given;
    if (busybox.empty()) {
      const auto got = run_shell("bash -c '" + std::string(kDownload) + "' download " + dir() + "/apt");
      ASSERT_EQ(got.exit_code, 0) << got.out;
      busybox = dir() + "/apt/bin/busybox";
    }
    ::mkdir(folder.c_str(), 0755);
    const auto copied = run_shell("cp " + busybox + " " + folder + "/busybox-arm64 && cp /bin/busybox " + folder +
                                  "/busybox-amd64 && chmod -R a+rX " + folder);
    ASSERT_EQ(copied.exit_code, 0) << copied.out;
    std::ofstream(folder + "/Dockerfile") << "FROM scratch\nARG TARGETARCH\nCOPY busybox-$TARGETARCH /busybox\n"
                                             "RUN [\"/busybox\", \"uname\", \"-m\"]\n"
                                             "RUN [\"/busybox\", \"sh\", \"-c\", \"/busybox uname -m\"]\n";
  }

 private:
  bool was_mounted_ = false;
  bool started_ = false;
  std::string before_;
};

TEST_F(EmulationOnKernel, RunsForeignStepsInTheEnginesBuilderAndInTheWarmOne) {
  make_context();
  start("platforms: all");
  wait_until_warm();
  ASSERT_TRUE(eventually([this] { return is_proven(); })) << api("/v1/emulators");
  EXPECT_EQ(arm64("handler"), "buildwarden-aarch64");
  EXPECT_EQ(arm64("flags"), "POCF");
  EXPECT_EQ(query("/v1/emulators", "[.emulators[] | select(.state != \"proven\" and .state != \"native\")] | length"),
            "0")
      << api("/v1/emulators");
  const auto took = std::stod(query("/v1/emulators", ".execution_seconds"));
  std::cout << "executing all platforms' programs: " << took * 1000 << " ms\n";
  EXPECT_GT(took, 0.0);

  const auto own =
      engine_shell("DOCKER_BUILDKIT=1 docker build --platform linux/arm64 --progress plain " + dir() + "/foreign");
  EXPECT_EQ(own.exit_code, 0) << own.out;
  EXPECT_NE(own.out.find("aarch64"), std::string::npos) << own.out;
  const auto warm = job_shell(
      "eval \"$(buildwarden job start --id multi --use s3 --platform linux/amd64 --platform linux/arm64)\"\n"
      "docker buildx build --platform linux/amd64,linux/arm64 --progress plain \"$DIR/foreign\"");
  EXPECT_EQ(warm.exit_code, 0) << warm.out;
  EXPECT_NE(warm.out.find("aarch64"), std::string::npos) << warm.out;
  EXPECT_NE(warm.out.find("x86_64"), std::string::npos) << warm.out;
  EXPECT_TRUE(eventually([this] { return query("/v1/builders/s3", ".platform_kinds[\"linux/arm64\"]") == "kernel"; }))
      << api("/v1/builders/s3");
  EXPECT_EQ(query("/v1/builders/s3", ".platform_kinds[\"linux/amd64\"]"), "native");
  const auto shown = engine_shell(dir() + "/bin/buildwarden --socket " + dir() + "/run/api.sock emulators");
  EXPECT_NE(shown.out.find("buildwarden-aarch64"), std::string::npos) << shown.out;
}

TEST_F(EmulationOnKernel, HealsWhateverIsDoneToItsHandlerAndLeavesOthersAlone) {
  start("platforms: [ linux/arm64 ]");
  ASSERT_TRUE(eventually([this] { return is_proven(); })) << api("/v1/emulators");
  add("qemu-aarch64", "/usr/bin/qemu-aarch64-static", "F");
  const std::string own = "buildwarden-aarch64";
  const std::vector<std::pair<std::string, std::function<void()>>> sabotage = {
      {"removed", [&] { write(own, "-1"); }},
      {"disabled", [&] { write(own, "0"); }},
      {"a wrong interpreter in its name", [&] { write(own, "-1"), add(own, "/bin/false", "F"); }},
      {"without F in its name", [&] { write(own, "-1"), add(own, "/usr/bin/qemu-aarch64-static", "C"); }},
  };
  int times = restored();
  for (const auto& [what, break_it] : sabotage) {
    break_it();
    const auto began = std::chrono::steady_clock::now();
    verify();
    std::cout << what << ": healed in "
              << std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count() << " ms\n";
    EXPECT_TRUE(is_proven()) << what << api("/v1/emulators");
    EXPECT_EQ(arm64("handler"), own) << what;
    EXPECT_EQ(restored(), ++times) << what << api("/v1/events?since=0");
    EXPECT_NE(entries().find("qemu-aarch64\n"), std::string::npos) << what;
  }
  EXPECT_FALSE(events("emulation.restored").empty());
  write(own, "-1"), add(own, "/usr/bin/qemu-aarch64-static", "CF");
  verify();
  EXPECT_EQ(arm64("flags"), "POCF") << api("/v1/emulators");
  EXPECT_EQ(restored(), ++times) << api("/v1/events?since=0");
}

// The newest entry is matched first: ours is made the newest again, and the other one stays.
TEST_F(EmulationOnKernel, IsNotHarmedByANewerBrokenHandlerNorByAnUninstallOfOthers) {
  start("platforms: [ linux/arm64 ]");
  ASSERT_TRUE(eventually([this] { return is_proven(); })) << api("/v1/emulators");
  add("qemu-aarch64", "/bin/false", "F");
  verify();
  EXPECT_TRUE(is_proven()) << api("/v1/emulators");
  EXPECT_EQ(restored(), 1);
  EXPECT_NE(entries().find("qemu-aarch64\n"), std::string::npos);
  for (const auto& name : split(entries())) {
    if (name.starts_with("qemu-")) write(name, "-1");  // as `binfmt --uninstall qemu-*` does
  }
  verify();
  EXPECT_TRUE(is_proven());
  EXPECT_EQ(restored(), 1) << "nothing had to be done";
}

TEST_F(EmulationOnKernel, SeesALossByItselfWithinHalfAMinute) {
  start("platforms: [ linux/arm64 ]");
  ASSERT_TRUE(eventually([this] { return is_proven(); })) << api("/v1/emulators");
  write("buildwarden-aarch64", "-1");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([] { return entries().find("buildwarden-aarch64") != std::string::npos; }));
  std::cout << "by itself after " << std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count()
            << " s\n";
  EXPECT_TRUE(eventually([this] { return restored() == 1; })) << api("/v1/events?since=0");
  EXPECT_EQ(api_status("/readyz"), 200) << api("/readyz");
}

TEST_F(EmulationOnKernel, OffMeansThatNothingIsDoneAndNothingSaid) {
  start("platforms: []");
  EXPECT_EQ(query("/v1/emulators", ".emulators | length"), "0");
  verify();
  EXPECT_EQ(entries().find("buildwarden-"), std::string::npos);
  EXPECT_EQ(api("/v1/events?since=0").find("emulation."), std::string::npos);
  EXPECT_EQ(log().find("emul"), std::string::npos);
}

class EmulationByImage : public EmulationOnKernel {
 protected:
  // Behaves as tonistiigi/binfmt: JSON on stdout, errors on stderr, exit 0 whatever happens.
  void make_binfmt_image(const std::string& body) const {
    const std::string folder = dir() + "/binfmt";
    ::mkdir(folder.c_str(), 0755);
    std::ofstream(folder + "/run") << "#!/busybox sh\n" << body << "exit 0\n";
    std::ofstream(folder + "/Dockerfile")
        << "FROM scratch\nCOPY busybox run /\nCOPY qemu /usr/bin/qemu-aarch64\nENTRYPOINT [\"/run\"]\n";
    const auto made = engine_shell("cp /bin/busybox " + folder + "/ && cp /usr/bin/qemu-aarch64-static " + folder +
                                   "/qemu && chmod 755 " + folder + "/* && docker build -t test-binfmt:1 " + folder);
    ASSERT_EQ(made.exit_code, 0) << made.out;
  }
};

TEST_F(EmulationByImage, RegistersThroughTheEngineAndLeavesNoContainer) {
  make_binfmt_image(
      "[ \"$1\" = --install ] && [ \"$2\" = arm64 ] || { echo \"bad arguments $*\" >&2; exit 0; }\n"
      "/busybox mkdir -p /proc/sys/fs/binfmt_misc\n"
      "[ -e /proc/sys/fs/binfmt_misc/register ] || /busybox mount -t binfmt_misc binfmt_misc "
      "/proc/sys/fs/binfmt_misc\n"
      "/busybox printf '%s' '" +
      std::string(":qemu-aarch64:") + kArm64 +
      ":/usr/bin/qemu-aarch64:CF' > /proc/sys/fs/binfmt_misc/register\n"
      "echo '{\"supported\":[\"linux/amd64\",\"linux/arm64\"],\"emulators\":[\"qemu-aarch64\"]}'\n");
  start("platforms: [ linux/arm64 ], order: [ image ], image: \"test-binfmt:1\"");
  ASSERT_TRUE(eventually([this] { return is_proven(); })) << api("/v1/emulators") << log();
  EXPECT_EQ(arm64("handler"), "qemu-aarch64");
  EXPECT_EQ(arm64("ours"), "false");
  EXPECT_EQ(engine_shell("docker ps -aq --filter name=buildwarden_binfmt").out, "");
}

TEST_F(EmulationByImage, ThatFailsIsToldInItsOwnWords) {
  make_binfmt_image(
      "echo 'cannot register: no luck today' >&2\necho '{\"supported\":[\"linux/amd64\"],\"emulators\":[]}'\n");
  start("platforms: [ linux/arm64 ], order: [ image ], image: \"test-binfmt:1\"");
  ASSERT_TRUE(eventually([this] { return arm64("rule") == "backing_off"; })) << api("/v1/emulators");
  EXPECT_NE(arm64("reason").find("no luck today"), std::string::npos) << arm64("reason");
  EXPECT_NE(api("/readyz").find("linux/arm64"), std::string::npos) << api("/readyz");
  EXPECT_EQ(engine_shell("docker ps -aq --filter name=buildwarden_binfmt").out, "");
  const auto job = job_shell("buildwarden job start --id foreign --platform linux/arm64 --json");
  EXPECT_EQ(job.exit_code, 0) << job.out;
  EXPECT_NE(job.out.find("linux/arm64 does not run here"), std::string::npos) << job.out;
}

}  // namespace
}  // namespace buildwarden::testing
