// A reload adds and changes builders of a running daemon.
#include "tests/support/sabotage_fixture.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

class ReloadBuilders : public SabotageFixture {
 protected:
  // The engine goes through a proxy that is nowhere: nothing here is pulled.
  void SetUp() override {
    ::setenv("HTTP_PROXY", "http://127.0.0.1:9", 1);
    SabotageFixture::SetUp();
    ::unsetenv("HTTP_PROXY");
  }
  // The daemon sees the changed file by itself.
  void rewrite_builders(const std::string& builders) const {
    const auto edited =
        run_shell("sed -i 's|^builders: .*|builders: " + with_image(builders) + "|' " + dir() + "/buildwarden.yaml");
    ASSERT_EQ(edited.exit_code, 0) << edited.out;
  }
  // True as soon as another container than `before` runs as the builder. Between the two there is none, and the state
  // is the one that was last told.
  [[nodiscard]] bool is_recreated(const std::string& before) const {
    const auto now = inspected("buildwarden_s3", "{{.State.Running}} {{.Id}}");
    return now.starts_with("true ") && now != "true " + before && builder_is_warm();
  }
  [[nodiscard]] CommandResult build_on(const std::string& builder, const std::string& job) const {
    return job_shell("eval \"$(buildwarden job start --id " + job + " --use " + builder +
                     ")\"\ndocker build --progress plain \"$CONTEXT\"\nbuildwarden job end --id " + job);
  }
};

TEST_F(ReloadBuilders, OneThatIsAddedBecomesWarmAndItsCacheIsKnown) {
  start_daemon();
  wait_until_warm();
  rewrite_builders("[ { name: s3 }, { name: more } ]");
  ASSERT_TRUE(eventually([this] { return query("/v1/builders/more", ".state") == "warm"; })) << api("/v1/builders");
  const auto build = build_on("more", "added");
  EXPECT_EQ(build.exit_code, 0) << build.out;
  const auto measured = [this] { return query("/v1/builders/more", ".cache_bytes // 0 | . > 0") == "true"; };
  EXPECT_TRUE(eventually(measured)) << api("/v1/builders/more");
  EXPECT_EQ(query("/v1/builders/s3", ".state"), "warm");

  rewrite_builders("[ { name: s3 } ]");
  ASSERT_TRUE(eventually([this] { return query("/v1/builders", ".builders | length") == "1"; }));
  EXPECT_TRUE(is_running("buildwarden_more")) << "it is let go of as it is";
}

TEST_F(ReloadBuilders, OneWhoseSettingsChangeIsMadeAnewOnItsVolumeWhenIdle) {
  start_daemon();
  wait_until_warm();
  ASSERT_EQ(build_on("s3", "before").exit_code, 0);
  const auto before = inspected("buildwarden_s3", "{{.Id}}");
  const auto volume = query("/v1/builders/s3", ".volume");
  rewrite_builders("[ { name: s3, aliases: [my-custom-builder], cache_share: 20%, max_parallelism: 2 } ]");
  ASSERT_TRUE(eventually([&] { return is_recreated(before); })) << api("/v1/builders");
  EXPECT_EQ(query("/v1/builders/s3", ".volume"), volume);
  const auto toml = read_text(dir() + "/state/builders/s3/buildkitd.toml");
  EXPECT_NE(toml.find("max-parallelism = 2"), std::string::npos) << toml;
  EXPECT_NE(inspected("buildwarden_s3", "{{.Config.Env}}").find("HTTP_PROXY=http://127.0.0.1:9"), std::string::npos)
      << "the engine's own";

  const auto second = inspected("buildwarden_s3", "{{.Id}}");
  ASSERT_EQ(run_shell("printf 'debug = true\\n' > " + dir() + "/own.toml").exit_code, 0);
  auto path = dir() + "/own.toml";
  for (auto at = path.find('/'); at != std::string::npos; at = path.find('/', at + 2)) path.insert(at, "\\");
  rewrite_builders(
      "[ { name: s3, runtime: runc, dns: [10.9.9.9], extra_hosts: [\"r.example:10.9.9.8\"], buildkitd_toml: " + path +
      ", env: { NO_PROXY: r.example }, registries: { \"r.example\": { http: true } } } ]");
  const auto surrounded = [&] {
    return is_recreated(second) && inspected("buildx_buildkit_s30", "{{.HostConfig.Runtime}}") == "runc";
  };
  ASSERT_TRUE(eventually(surrounded)) << api("/v1/builders") << events("config.refused")
                                      << events("builder.step_failed");
  EXPECT_EQ(inspected("buildwarden_s3", "{{.HostConfig.Runtime}} {{.HostConfig.Dns}} {{.HostConfig.ExtraHosts}}"),
            "runc [10.9.9.9] [r.example:10.9.9.8]");
  EXPECT_NE(engine_shell("docker exec buildwarden_s3 cat /etc/hosts /etc/resolv.conf").out.find("10.9.9.8"),
            std::string::npos);
  const auto env = inspected("buildwarden_s3", "{{.Config.Env}}");
  EXPECT_NE(env.find("NO_PROXY=r.example"), std::string::npos) << env;
  const auto merged = read_text(dir() + "/state/builders/s3/buildkitd.toml");
  EXPECT_NE(merged.find("debug = true"), std::string::npos) << merged;

  const auto third = inspected("buildwarden_s3", "{{.Id}}");
  ASSERT_EQ(run_shell("printf 'debug = false\\n' > " + dir() + "/own.toml").exit_code, 0);
  ASSERT_TRUE(eventually([&] { return is_recreated(third); }))
      << "the file's own text counts, too" << api("/v1/builders");
  const auto after = build_on("s3", "after");
  EXPECT_EQ(after.exit_code, 0) << after.out;
  EXPECT_NE(after.out.find("CACHED"), std::string::npos) << after.out;
}

}  // namespace
}  // namespace buildwarden::testing
