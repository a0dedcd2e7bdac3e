// What jobs build on the warm builder: unprivileged, outside group docker, each with a fresh DOCKER_CONFIG. Everything
// with both versions of buildx, the installed one and the lab's newer one.
#include <array>
#include <optional>
#include <thread>

#include "tests/support/daemon_fixture.h"
#include "tests/support/held_build.h"
#include "tests/support/registry.h"

namespace buildwarden::testing {
namespace {

using std::chrono::seconds;

// Every kind of step that leans on the builder: stages, a target, a cache mount, a secret.
constexpr const char* kDockerfile = R"(FROM scratch AS base
COPY busybox /bin/sh
COPY busybox /bin/busybox
FROM base AS checked
RUN --mount=type=secret,id=token /bin/busybox grep -qx hidden-word /run/secrets/token
FROM base AS built
ARG ROUND=0
RUN --mount=type=cache,id=rounds,target=/cache echo "$ROUND" >> /cache/rounds; /bin/busybox cp /cache/rounds /rounds
FROM scratch AS release
COPY --from=built /rounds /rounds
)";

class JobBuilds : public DaemonFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    DaemonFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!buildx().empty() && read_text(buildx()).empty()) GTEST_SKIP() << "sandbox prepare --buildx sid makes it";
    write_context("web", kDockerfile);
    const auto bridge = run_shell("sed -n \"s/^export BUILDWARDEN_BRIDGE='\\(.*\\)'/\\1/p\" " + dir() +
                                  "/env | xargs -I{} ip -4 -o address show {} | awk '{ sub(/\\/.*/, \"\", $4); "
                                  "printf \"%s\", $4 }'")
                            .out;
    registry_.emplace(dir() + "/registry", bridge);
    DaemonOptions options;
    options.builders = "[ { name: s3, aliases: [my-custom-builder], registries: { \"" + registry_->host() +
                       "\": { ca: " + registry_->ca() + " } }, cache: { type: registry, ref: \"" + registry_->host() +
                       "/cache\" } } ]";
    options.disk += ", keep: [\"mine:*\"]";
    start_daemon(options);
    wait_until_warm();
  }
  [[nodiscard]] std::string buildx() const override {
    return *GetParam() == '\0' ? "" : lab() + "/buildx-" + GetParam() + "/docker-buildx";
  }
  void write_context(const std::string& name, const std::string& dockerfile) const {
    const auto made = run_shell("cp -r " + dir() + "/context " + dir() + "/" + name + "; cat > " + dir() + "/" + name +
                                "/Dockerfile <<'END'\n" + dockerfile + "END\nchmod -R a+rX " + dir() + "/" + name);
    ASSERT_EQ(made.exit_code, 0) << made.out;
  }
  // A job that uses the builder for plain docker build.
  [[nodiscard]] CommandResult job(const std::string& id, const std::string& script) const {
    return job_shell("trap 'buildwarden job end --id " + id + "' EXIT\n" + "eval \"$(buildwarden job start --id " + id +
                     " --use s3 --cache-name app)\"\n" + script);
  }

  void build_every_kind_of_step() const;
  void build_eight_at_once() const;
  void export_and_import_a_cache() const;
  void push_with_the_jobs_own_login() const;
  void run_what_was_built_without_use() const;
  void run_what_was_built_and_loaded() const;

  std::optional<Registry> registry_;
};

void JobBuilds::build_every_kind_of_step() const {
  const auto secret =
      job("secret",
          "echo hidden-word > \"$DOCKER_CONFIG/token\"\n"
          "docker build --progress plain --target checked --secret id=token,src=\"$DOCKER_CONFIG/token\" "
          "\"$DIR/web\"");
  EXPECT_EQ(secret.exit_code, 0) << secret.out;
  EXPECT_NE(job("none", "docker build --no-cache --target checked \"$DIR/web\"").exit_code, 0) << "no secret, no build";
  std::string out;
  for (const std::string round : {"1", "2", "2"}) {
    const auto built =
        job("round-" + round, "docker build --progress plain --target release --build-arg ROUND=" + round +
                                  " --output type=local,dest=\"$DOCKER_CONFIG/out\" \"$DIR/web\"\n"
                                  "echo \"rounds: $(echo $(cat \"$DOCKER_CONFIG/out/rounds\"))\"");
    ASSERT_EQ(built.exit_code, 0) << built.out;
    out = built.out;
  }
  EXPECT_NE(out.find("rounds: 1 2\n"), std::string::npos)
      << "one cache mount for all jobs; the third was cached" << out;
  EXPECT_NE(out.find("CACHED"), std::string::npos) << out;
}

void JobBuilds::build_eight_at_once() const {
  std::array<CommandResult, 8> results;
  {
    std::vector<std::jthread> jobs;
    for (std::size_t i = 0; i < results.size(); ++i) {
      jobs.emplace_back([&, i] {
        const auto n = std::to_string(i);
        results[i] =
            job("at-once-" + n, "docker build --target built --build-arg ROUND=parallel-" + n + " \"$DIR/web\"");
      });
    }
  }
  for (const auto& one : results) EXPECT_EQ(one.exit_code, 0) << one.out;
  EXPECT_EQ(query("/v1/jobs", ".jobs | length"), "0");
}

void JobBuilds::export_and_import_a_cache() const {
  const auto exported = job("export",
                            "docker build --cache-to type=local,mode=max,dest=\"$DOCKER_CONFIG/cache\" \"$CONTEXT\"\n"
                            "cp -r \"$DOCKER_CONFIG/cache\" /tmp/cache-of-$$ && mv /tmp/cache-of-$$ " +
                                dir() + "/shared/cache");
  ASSERT_EQ(exported.exit_code, 0) << exported.out;
  const auto imported = job("import",
                            "docker buildx prune --all --force >/dev/null\n"
                            "docker build --progress plain --cache-from type=local,src=" +
                                dir() + "/shared/cache \"$CONTEXT\"");
  ASSERT_EQ(imported.exit_code, 0) << imported.out;
  EXPECT_NE(imported.out.find("CACHED"), std::string::npos) << imported.out;
}

// The builder has no login of its own: each push is by the login in the job's own config.json, which stays as it was.
void JobBuilds::push_with_the_jobs_own_login() const {
  const auto push = [&](const std::string& id, const std::string& config) {
    return job_shell(
        "printf %s '" + config +
        "' > \"$DOCKER_CONFIG/config.json\"; before=$(sha256sum < \"$DOCKER_CONFIG/config.json\")\n" +
        "eval \"$(buildwarden job start --id " + id + " --use s3 --cache-name app)\"\n" +
        "docker build --progress plain --push -t " + registry_->host() + "/" + id +
        ":1 --cache-from \"$BUILDWARDEN_CACHE_FROM\" --cache-to \"$BUILDWARDEN_CACHE_TO\" \"$CONTEXT\" || "
        "failed=yes\n" +
        "buildwarden job end --id " + id + "\n" +
        "[ \"$before\" = \"$(sha256sum < \"$DOCKER_CONFIG/config.json\")\" ] || echo changed\n[ -z \"${failed-}\" ]");
  };
  EXPECT_NE(push("stranger", "{}").exit_code, 0);
  const auto pushed = push("pushed", registry_->docker_config());
  EXPECT_EQ(pushed.exit_code, 0) << pushed.out;
  EXPECT_EQ(pushed.out.find("changed\n"), std::string::npos);
  EXPECT_EQ(registry_->tags("pushed"), "1");
  EXPECT_EQ(registry_->tags("cache"), "app") << "the cache went there, too";
  EXPECT_NE(push("liar", registry_->docker_config("wrong")).exit_code, 0) << "nobody's login is left in the builder";
  EXPECT_EQ(registry_->tags("stranger") + registry_->tags("liar"), "");
}

void JobBuilds::run_what_was_built_without_use() const {
  const auto ran = recipe_shell(
      "eval \"$(buildwarden job start --id plain)\"; echo \"builder=${BUILDX_BUILDER-unset}\"\n"
      "docker build -t mine:1 \"$CONTEXT\" && docker run --rm mine:1 /bin/sh -c 'echo it runs'\n"
      "buildwarden job end --id plain");
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_NE(ran.out.find("builder=unset\n"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("it runs\n"), std::string::npos) << ran.out;
}

// buildx 0.13 does not know default-load, and would refuse the instance: it is handed out without, and that is said.
void JobBuilds::run_what_was_built_and_loaded() const {
  const auto ran = recipe_shell(
      "eval \"$(buildwarden job start --id loads --use s3 --load)\"\n"
      "docker build --progress plain -t mine:loaded \"$CONTEXT\"\n"
      "docker run --rm mine:loaded /bin/sh -c 'echo it runs' || true\n"
      "docker build -q \"$CONTEXT\" > /dev/null && echo untagged builds go on\n"
      "buildwarden job end --id loads");
  const bool knows = !buildx().empty();
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_EQ(ran.out.find("it runs\n") != std::string::npos, knows) << ran.out;
  EXPECT_EQ(ran.out.find("buildx 0.13 does not know default-load") == std::string::npos, knows) << ran.out;
  EXPECT_NE(ran.out.find("untagged builds go on\n"), std::string::npos) << ran.out;
}

TEST_P(JobBuilds, WorkAsOnABuilderOfTheirOwn) {
  ASSERT_EQ(run_shell("install -d -o 2000 -g 2000 " + dir() + "/shared").exit_code, 0);
  if (!buildx().empty()) {
    EXPECT_EQ(job_shell("docker buildx version").out, run_shell(buildx() + " version").out);
  }
  build_every_kind_of_step();
  build_eight_at_once();
  export_and_import_a_cache();
  push_with_the_jobs_own_login();
  run_what_was_built_without_use();
  run_what_was_built_and_loaded();
}

// As documented, and the same without its guard: a fresh DOCKER_CONFIG knows no builder, so both create one, and meet
// the front. A build by the hand-out, which outlasts both, goes on.
TEST_P(JobBuilds, TheDocumentedRecipeIsWarmUnderItsOwnName) {
  const HeldBuild slow(dir(), dir() + "/slow");
  ASSERT_EQ(job("warm-up", "docker build \"$CONTEXT\"").exit_code, 0);
  const auto front = "docker inspect -f '{{.Id}} {{.State.Running}}' buildx_buildkit_my-custom-builder0";
  const auto real = "docker inspect -f '{{.Id}} {{.State.StartedAt}}' buildwarden_s3";
  const auto before = engine_shell(real).out;
  CommandResult other;
  std::jthread concurrent([&] { other = job("slow", "docker build --progress plain \"$DIR/slow\""); });
  EXPECT_TRUE(eventually([&] { return slow.runs(); }));
  const std::string create =
      "docker buildx create --name my-custom-builder --driver=docker-container --use --bootstrap\n";
  for (const std::string guard : {"docker buildx ls | grep my-custom-builder || ", ""}) {
    const auto first_front = engine_shell(front).out;
    const auto recipe = recipe_shell(guard + create +
                                     "docker buildx build --progress plain \"$CONTEXT\"\n"
                                     "docker buildx rm my-custom-builder\n");
    EXPECT_EQ(recipe.exit_code, 0) << recipe.out;
    EXPECT_NE(recipe.out.find("CACHED"), std::string::npos) << recipe.out;
    EXPECT_TRUE(eventually([&] {
      const auto now = engine_shell(front);
      return now.exit_code == 0 && now.out != first_front && now.out.find("true") != std::string::npos;
    })) << "the front is made again";
  }
  EXPECT_TRUE(slow.release()) << "it goes on all the while";
  concurrent.join();
  EXPECT_EQ(other.exit_code, 0) << other.out;
  EXPECT_EQ(other.out.find("CACHED"), std::string::npos) << "it had to run";
  EXPECT_EQ(engine_shell(real).out, before);
}

INSTANTIATE_TEST_SUITE_P(WithBuildx, JobBuilds, ::testing::Values("", "sid"), [](const auto& param) {
  return std::string(*param.param == '\0' ? "Installed" : param.param);
});

}  // namespace
}  // namespace buildwarden::testing
