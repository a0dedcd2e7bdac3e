// Images fetched ahead, on a real engine and from a real registry.
#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

constexpr std::int64_t kMiB = 1'048'576;

class Prefetch : public DaemonFixture {
 protected:
  void TearDown() override {
    registry_.reset();
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
};

TEST_F(Prefetch, WhatIsConfiguredIsPulledOnceThereIsRoom) {
  start_registry();
  for (const char* name : {"one:1", "two:1"}) push(name);
  DaemonOptions options;
  options.builders = "[]";
  options.more = images(address_ + "/one:1, " + address_ + "/gone:1, " + address_ + "/two:1");
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
  EXPECT_EQ(query("/v1/status", ".prefetch.done"), "2");
  const auto shown =
      run_shell(std::string("BUILDWARDEN_SOCKET=") + dir() + "/run/api.sock " + dir() + "/bin/buildwarden status");
  EXPECT_NE(shown.out.find("prefetch: 2 of 3 done"), std::string::npos) << shown.out;
}

}  // namespace
}  // namespace buildwarden::testing
