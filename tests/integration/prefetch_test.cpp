// Images fetched ahead, on a real engine and from a real registry.
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "tests/support/daemon_fixture.h"
#include "tests/support/registry.h"

namespace buildwarden::testing {
namespace {

constexpr std::int64_t kMiB = 1'048'576;

class Prefetch : public DaemonFixture {
 protected:
  void TearDown() override {
    registry_.reset();
    secured_.reset();
    if (!path_.empty()) ::setenv("PATH", path_.c_str(), 1);
    DaemonFixture::TearDown();
  }
  // Debian's docker-registry on a port of its own; "127.0.0.1:PORT".
  void start_registry() {
    run_shell("mkdir -p " + dir() +
              "/registry && printf '%s\\n' 'version: 0.1' 'storage: { filesystem: { rootdirectory: " + dir() +
              "/registry } }' 'http: { addr: \"127.0.0.1:0\" }' > " + dir() + "/registry.yml");
    const std::vector<std::string> program = {"docker-registry", "serve", dir() + "/registry.yml"};
    registry_ = std::make_unique<BackgroundProcess>(program, dir() + "/registry.log");
    const auto listens = [this] {
      const auto said =
          run_shell("sed -n 's/.*listening on \\(127.0.0.1:[0-9]*\\).*/\\1/p' " + dir() + "/registry.log").out;
      address_ = said.substr(0, said.find('\n'));
      return !address_.empty();
    };
    ASSERT_TRUE(eventually(listens)) << read_text(dir() + "/registry.log");
  }
  // Made, pushed, and gone from the engine.
  void push(const std::string& name) {
    make_image(address_ + "/" + name, 5);
    const auto pushed =
        engine_shell("docker push -q " + address_ + "/" + name + " && docker rmi " + address_ + "/" + name);
    ASSERT_EQ(pushed.exit_code, 0) << pushed.out;
  }
  // A registry that asks for a login, which a helper alone knows, and an image in it that is not in the engine. The
  // engine asks it without looking at its certificate, since it is on this machine.
  void start_secured_registry() {
    secured_ = std::make_unique<Registry>(dir() + "/secured", "127.0.0.1");
    const auto helpers = dir() + "/helpers";
    ASSERT_EQ(run_shell("mkdir -p " + helpers + "/push").exit_code, 0);
    std::ofstream(helpers + "/docker-credential-lab")
        << "#!/bin/sh\nread -r server; [ \"$1 $server\" = \"get " << secured_->host()
        << "\" ] || exit 1\necho '{\"ServerURL\":\"\",\"Username\":\"ci\",\"Secret\":\"s3cret-of-the-registry\"}'\n";
    std::ofstream(helpers + "/config.json") << R"({"credHelpers":{")" << secured_->host() << R"(":"lab"}})";
    std::ofstream(helpers + "/push/config.json") << secured_->docker_config();
    ASSERT_EQ(run_shell("chmod 755 " + helpers + "/docker-credential-lab").exit_code, 0);
    path_ = std::getenv("PATH");
    ::setenv("PATH", (helpers + ":" + path_).c_str(), 1);
    make_image(login_image(), 5);
    const auto pushed = engine_shell("DOCKER_CONFIG=" + helpers + "/push docker push -q " + login_image() +
                                     " && docker rmi " + login_image());
    ASSERT_EQ(pushed.exit_code, 0) << pushed.out;
    EXPECT_NE(engine_shell("docker pull -q " + login_image()).exit_code, 0) << "it does ask for a login";
  }
  [[nodiscard]] std::string login_image() const { return secured_->host() + "/login:1"; }
  [[nodiscard]] std::string state(const std::string& image) const {
    return query("/v1/status", ".prefetch.images[] | select(.image == \"" + address_ + "/" + image +
                                   "\" and .builder == null) | .state");
  }
  [[nodiscard]] bool is_here(const std::string& image) const {
    return engine_shell("docker image inspect " + address_ + "/" + image).exit_code == 0;
  }
  [[nodiscard]] std::string images(const std::string& names) const { return "prefetch: { images: [" + names + "] }\n"; }

  std::string address_;
  std::unique_ptr<BackgroundProcess> registry_;
  std::unique_ptr<Registry> secured_;
  std::string path_;  // PATH as it was
};

TEST_F(Prefetch, WhatIsConfiguredIsPulledOnceThereIsRoom) {
  start_registry();
  for (const char* name : {"one:1", "two:1"}) push(name);
  DaemonOptions options;
  options.builders = "[]";
  start_secured_registry();
  options.engine = "docker_config: " + dir() + "/helpers";
  options.more = images(address_ + "/one:1, " + address_ + "/gone:1, " + address_ + "/two:1, " + login_image());
  fill_disk_until(340 * kMiB);  // below reclaim_below
  start_daemon(options);
  ASSERT_TRUE(eventually([this] { return query("/v1/status", ".prefetch.rule") == "disk"; })) << api("/v1/status");
  EXPECT_EQ(state("one:1"), "waiting");
  EXPECT_FALSE(is_here("one:1"));

  ASSERT_EQ(run_shell("rm -f " + dir() + "/disk/writer-*").exit_code, 0);
  ASSERT_TRUE(eventually([this] { return state("one:1") == "done" && state("two:1") == "done"; }))
      << api("/v1/status") << events("prefetch.failed");
  EXPECT_TRUE(is_here("one:1"));
  EXPECT_TRUE(is_here("two:1"));
  EXPECT_EQ(state("gone:1"), "failed");
  EXPECT_NE(events("prefetch.failed").find("/gone:1 could not be fetched for the engine"), std::string::npos);
  const auto by_helper = [this] {
    return engine_shell("docker image inspect " + login_image()).exit_code == 0 &&
           query("/v1/status", ".prefetch.done") == "3";
  };
  EXPECT_TRUE(eventually(by_helper)) << api("/v1/status") << events("prefetch.failed");
  const auto shown =
      run_shell(std::string("BUILDWARDEN_SOCKET=") + dir() + "/run/api.sock " + dir() + "/bin/buildwarden status");
  EXPECT_NE(shown.out.find("prefetch: 3 of 4 done"), std::string::npos) << shown.out;
}

}  // namespace
}  // namespace buildwarden::testing
