#include "tests/support/daemon_fixture.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <regex>

#include "common/units.h"
#include "tests/support/own_mounts.h"

namespace buildwarden::testing {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): tests set no variables
  return value == nullptr ? "" : value;
}

std::string shell_quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'')
      result += "'\\''";
    else
      result += c;
  }
  return result + "'";
}

constexpr const char* kImage = "BUILDWARDEN_TEST_BUILDKIT_IMAGE";
constexpr const char* kDefaultImage = "moby/buildkit:buildx-stable-1";

}  // namespace

std::string DaemonFixture::builder_image() {
  auto image = from_environment(kImage);
  return image.empty() ? kDefaultImage : image;
}

std::string DaemonFixture::with_image(const std::string& builders) {
  const auto image = from_environment(kImage);
  if (image.empty()) return builders;
  return std::regex_replace(builders, std::regex("\\{ name: (\\w+)"), "{ name: $1, image: \"" + image + "\"");
}

void DaemonFixture::SetUp() {
  sandbox_ = from_environment("BUILDWARDEN_SANDBOX");
  lab_ = from_environment("BUILDWARDEN_LAB");
  const auto program = from_environment("BUILDWARDEN_BIN");
  if (sandbox_.empty() || lab_.empty() || program.empty()) GTEST_SKIP() << "tests/run sets the sandbox up";
  char pattern[] = "/tmp/bw.XXXXXX";
  ASSERT_NE(::mkdtemp(pattern), nullptr);
  dir_ = pattern;
  const auto up = run_shell("chmod 755 " + dir_ + " && mkdir " + dir_ + "/bin " + dir_ + "/state && install -m 755 " +
                            shell_quoted(program) + " " + dir_ + "/bin/buildwarden && " + sandbox_ + " up " + dir_ +
                            " --lab " + shell_quoted(lab_) + " " + sandbox_options());
  ASSERT_EQ(up.exit_code, 0) << up.out;
  make_context();
}

void DaemonFixture::TearDown() {
  if (dir_.empty()) return;
  if (HasFailure()) {
    std::cout << "---- daemon.log\n" << log().substr(log().size() > 8000 ? log().size() - 8000 : 0) << "----\n";
  }
  daemon_.reset();
  const auto down = run_shell(sandbox_ + " down " + dir_);
  EXPECT_EQ(down.exit_code, 0) << down.out;
  run_shell("rm -rf --one-file-system " + dir_);
}

std::string DaemonFixture::yaml(const DaemonOptions& options) const {
  std::string text = options.dry_run ? "dry_run: true\n" : "";
  const auto watch = options.watch.empty() ? "[ { path: " + dir_ + "/disk, gate: true } ]" : options.watch;
  text += "disk: { watch: " + watch + ", " + options.disk + " }\n";
  text += "builders: " + with_image(options.builders) + "\n";
  text += "emulation: { " + options.emulation + " }\n";
  text += "agent: { user: \"" + agent() + "\", group: \"" + agent() + "\", unit: \"\" }\n";
  text += "engine: { socket: " + engine_socket() + ", " + options.engine + " }\n";
  text += "listen: { socket: " + dir_ + "/run/api.sock, tcp: \"127.0.0.1:0\" }\n";
  text += "paths: { run: " + dir_ + "/run, state: " + dir_ + "/state, images: " + lab_ + "/images, builds: " + dir_ +
          "/disk/builds, cfn_env: " + dir_ + "/cfn-env, agent_env: " + dir_ + "/agent-env, daemon_json: " + dir_ +
          "/daemon.json, docker_binfmt_env: " + dir_ + "/docker-binfmt.env }\n";
  return text + options.more;
}

void DaemonFixture::start_daemon(const DaemonOptions& options) {
  std::ofstream(dir_ + "/buildwarden.yaml") << yaml(options);
  daemon_ = std::make_unique<BackgroundProcess>(
      std::vector<std::string>{dir_ + "/bin/buildwarden", "serve", "--config", dir_ + "/buildwarden.yaml"},
      dir_ + "/daemon.log");
  const auto answers = [this] { return api_status("/healthz") == 200; };
  ASSERT_TRUE(eventually(answers)) << log();
}

int DaemonFixture::stop_daemon() {
  daemon_->send(SIGTERM);
  return daemon_->wait();
}

std::string DaemonFixture::api(const std::string& path, const std::string& arguments) const {
  return run_shell("curl -s --max-time 120 --unix-socket " + dir_ + "/run/api.sock " + arguments + " " +
                   shell_quoted("http://localhost" + path))
      .out;
}

int DaemonFixture::api_status(const std::string& path, const std::string& arguments) const {
  const auto text = api(path, "-o /dev/null -w '%{http_code}' " + arguments);
  return text.size() == 3 ? std::stoi(text) : 0;
}

std::string DaemonFixture::query(const std::string& path, const std::string& filter) const {
  auto text = run_shell("curl -s --max-time 120 --unix-socket " + dir_ + "/run/api.sock " +
                        shell_quoted("http://localhost" + path) + " | jq -r " + shell_quoted(filter))
                  .out;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool DaemonFixture::builder_is_warm() const { return query("/v1/builders", ".builders[0].state") == "warm"; }

void DaemonFixture::wait_until_warm() const {
  // An image may have to be pulled.
  const auto longest = from_environment(kImage).empty() ? kTestPatience : 3 * kTestPatience;
  ASSERT_TRUE(eventually([this] { return builder_is_warm(); }, longest)) << api("/v1/builders") << log();
}

std::string DaemonFixture::events(const std::string& kind) const {
  return query("/v1/events?since=0", ".events[] | select(.kind == \"" + kind + "\") | tojson");
}

CommandResult DaemonFixture::engine_shell(const std::string& script) const {
  CommandOptions options;
  options.env = {{"DOCKER_HOST", "unix://" + dir_ + "/docker.sock"}, {"DOCKER_CONFIG", dir_ + "/root-docker"}};
  return run_shell("set -e\n" + script, options);
}

void DaemonFixture::make_context() const {
  const auto made = run_shell("set -e; mkdir " + dir_ + "/context; cp \"$(command -v busybox)\" " + dir_ +
                              "/context/busybox; printf '%s\\n' 'FROM scratch' 'COPY busybox /bin/sh' "
                              "'RUN echo built > /built' > " +
                              dir_ + "/context/Dockerfile; chmod -R a+rX " + dir_ + "/context");
  ASSERT_EQ(made.exit_code, 0) << made.out;
}

// With another buildx in a mount namespace of its own, so that the job's DOCKER_CONFIG can be as empty as ever.
CommandResult DaemonFixture::as_user(const std::string& groups, const std::string& engine,
                                     const std::string& script) const {
  std::string text = "job=$(mktemp -d " + dir_ + "/job.XXXXXX) && chown " + agent() + ":" + agent() + " \"$job\"\n" +
                     "trap 'rm -rf --one-file-system \"$job\"' EXIT\n";
  if (!buildx().empty()) {
    const std::string setup =
        "set -e; " + without_others_disks(dir_) +
        "plugin=$(ls /usr/{local/,}lib{exec,}/docker/cli-plugins/docker-buildx 2>/dev/null | head -n 1); "
        "mount --bind " +
        buildx() + " \"$plugin\"; ";
    text += "unshare --mount bash -c " + shell_quoted(setup + "exec \"$@\"") + " job ";
  }
  text +=
      "setpriv --reuid " + agent() + " --regid " + agent() + " " + groups + " env -i HOME=/nonexistent PATH=" + dir_ +
      "/bin:/usr/local/bin:/usr/bin:/bin DOCKER_CONFIG=\"$job\" DOCKER_HOST=" + engine + " BUILDWARDEN_SOCKET=" + dir_ +
      "/run/api.sock CONTEXT=" + dir_ + "/context DIR=" + dir_ + " bash -c " + shell_quoted("set -e\n" + script);
  return run_shell(text);
}

CommandResult DaemonFixture::job_shell(const std::string& script) const {
  return as_user("--clear-groups", "unix:///nonexistent/docker.sock", script);
}

CommandResult DaemonFixture::recipe_shell(const std::string& script) const {
  const auto group = run_shell("stat -c %g " + dir_ + "/docker.sock").out;
  return as_user("--groups " + group.substr(0, group.find('\n')), "unix://" + dir_ + "/docker.sock", script);
}

void DaemonFixture::make_image(const std::string& tag, int mib) const {
  const auto made = engine_shell(
      "work=$(mktemp -d " + dir_ + "/image.XXXXXX); cp \"$(command -v busybox)\" $work/busybox; " + "head -c " +
      std::to_string(mib) + "M /dev/urandom > $work/data; " +
      "tar -C $work -c . | docker import --change 'CMD [\"/busybox\",\"sleep\",\"600\"]' - " + tag + "; rm -rf $work");
  ASSERT_EQ(made.exit_code, 0) << made.out;
}

std::int64_t DaemonFixture::free_bytes() const {
  struct statvfs info{};
  if (::statvfs((dir_ + "/disk").c_str(), &info) != 0) return -1;
  return static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
}

std::string DaemonFixture::reclaim(bool dry_run) const {
  const std::string body =
      R"({"target_free_bytes":9000000000000,"dry_run":)" + std::string(dry_run ? "true" : "false") + "}";
  auto answer = api("/v1/disk/reclaim", "-X POST -H 'Content-Type: application/json' -d '" + body + "'");
  constexpr std::string_view kOperation = R"({"operation":")";
  if (!answer.starts_with(kOperation)) return answer;
  const auto id = answer.substr(kOperation.size(), answer.find('"', kOperation.size()) - kOperation.size());
  eventually(
      [&] { return (answer = api("/v1/operations/" + id + "?wait=5")).find("\"running\"") == std::string::npos; });
  return answer;
}

void DaemonFixture::wait_until_old(const std::string& name) const {
  ASSERT_TRUE(eventually([&] { return reclaim(true).find(name) != std::string::npos; })) << api("/v1/events?since=0");
}

void DaemonFixture::fill_disk_until(std::int64_t left) const {
  const auto size = std::max<std::int64_t>(free_bytes() - left, kMiB);
  const auto filled = run_shell("fallocate -l " + std::to_string(size) + " " + dir_ + "/disk/writer-$$");
  ASSERT_EQ(filled.exit_code, 0) << filled.out;
}

}  // namespace buildwarden::testing
