// The scripts are run by real shells, as a hook would: eval "$(…)" under set -eu.
#include "daemon/api/job_script.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace buildwarden::api {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Values that would do harm or fall apart wherever quoting is not right.
const std::vector<std::string>& hostile() {
  static const std::vector<std::string> values = {
      "plain",
      "two words",
      "'",
      "''\"''",
      "$(touch pwned)",
      "`touch pwned`",
      "; touch pwned;",
      "a\nb\n\nc",
      "\\",
      "\\'",
      "$HOME ${X}",
      "*?[a-z]~",
      "-n",
      "%s%d%%",
      "!history!",
      "tab\there",
      "\x01\x7f\x1b[0m",
      "caf\xc3\xa9 \xff\xfe",
      "",
      " leading trailing ",
      "&& exit 9 #",
      "'; exit 9; '",
      "EOF\nEOF",
      "a=b",
      "trailing newlines\n\n",
  };
  return values;
}

class JobScript : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "bw-script-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    fs::create_directory(folder / "cwd");
    answer.admitted = true;
  }
  void TearDown() override {
    fs::permissions(folder, fs::perms::owner_all);
    fs::remove_all(folder);
  }

  // `driver` runs after the script was evaluated, in the same shell; "$1" is the script's file.
  [[nodiscard]] Ran run(const std::string& script, std::vector<std::string> env, const std::string& driver) const {
    std::ofstream(folder / "script", std::ios::binary) << script;
    const std::string program = "set -eu; eval \"$(cat \"$1\")\"\n" + driver;
    std::vector<std::string> args = {GetParam(), "-c", program, "hook", folder / "script"};
    env.push_back("PATH=/usr/bin:/bin");
    return spawn(args, env);
  }

  [[nodiscard]] Ran spawn(std::vector<std::string>& args, std::vector<std::string>& env) const {
    const auto pointers = [](std::vector<std::string>& texts) {
      std::vector<char*> made;
      for (auto& text : texts) made.push_back(text.data());
      made.push_back(nullptr);
      return made;
    };
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    const std::string out = folder / "out";
    const std::string err = folder / "err";
    const std::string cwd = folder / "cwd";
    ::posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    ::posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    ::posix_spawn_file_actions_addchdir_np(&actions, cwd.c_str());
    pid_t child = 0;
    EXPECT_EQ(::posix_spawnp(&child, args[0].c_str(), &actions, nullptr, pointers(args).data(), pointers(env).data()),
              0);
    ::posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_FALSE(fs::exists(folder / "cwd" / "pwned"));
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(out), content(err)};
  }

  fs::path folder;
  ports::JobAnswer answer;
};

INSTANTIATE_TEST_SUITE_P(Shells, JobScript, ::testing::Values("dash", "bash"),
                         [](const auto& shell) { return std::string(shell.param); });

TEST_P(JobScript, CarriesHostileValuesUnchanged) {
  std::string driver;
  std::string expected;
  for (std::size_t i = 0; i < hostile().size(); ++i) {
    const auto name = "V" + std::to_string(i);
    answer.grant.env[name] = hostile()[i];
    answer.grant.files.push_back({"instances/f" + std::to_string(i), 0600, hostile()[i]});
    driver += "printf '%s\\0' \"$" + name + "\"\n";
    expected += hostile()[i] + std::string(1, '\0');
  }
  const auto ran = run(job_script(answer), {"BUILDX_CONFIG=" + (folder / "b x'").string()}, driver);
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.out, expected);
  EXPECT_THAT(ran.err, IsEmpty());
  for (std::size_t i = 0; i < hostile().size(); ++i) {
    EXPECT_EQ(content(folder / "b x'" / "instances" / ("f" + std::to_string(i))), hostile()[i]) << i;
  }
}

TEST_P(JobScript, ExportsToChildren) {
  answer.grant.env = {{"BUILDX_BUILDER", "buildwarden-s3"}, {"BUILDWARDEN_CACHE_FROM", "type=s3,bucket=a b"}};
  answer.grant.files = {{"instances/buildwarden-s3", 0600, "{}"}};
  const auto ran = run(job_script(answer), {"DOCKER_CONFIG=" + (folder / "dc").string()}, "env; set");
  EXPECT_THAT(ran.out, HasSubstr("BUILDX_BUILDER=buildwarden-s3\n"));
  EXPECT_THAT(ran.out, HasSubstr("BUILDWARDEN_CACHE_FROM=type=s3,bucket=a b\n"));
  EXPECT_THAT(ran.out, ::testing::Not(HasSubstr("buildwarden_dir")));  // nothing else is left behind
  EXPECT_EQ(content(folder / "dc" / "buildx" / "instances" / "buildwarden-s3"), "{}");
}

// What was wished and could not be given is no failure, but nobody looks for it in vain.
TEST_P(JobScript, ANoteIsSaidAndTheJobGoesOn) {
  answer.grant.note = "builder s3 is not handed out: it's stopped";
  for (const bool with_files : {false, true}) {
    if (with_files) answer.grant.files = {{"instances/buildwarden-arm", 0600, "{}"}};
    const auto ran = run(job_script(answer), {"BUILDX_CONFIG=" + (folder / "bx").string()}, "echo on");
    EXPECT_EQ(ran.status, 0);
    EXPECT_EQ(ran.out, "on\n");
    EXPECT_EQ(ran.err, "buildwarden: builder s3 is not handed out: it's stopped\n");
  }
}

TEST_P(JobScript, FilesHaveTheirModeAndFoldersAreForTheJobAlone) {
  answer.grant.files = {{"a/b/c", 0640, "x"}, {"top", 0600, "y"}};
  EXPECT_EQ(run(job_script(answer), {"BUILDX_CONFIG=" + (folder / "bx").string()}, "").status, 0);
  EXPECT_EQ(fs::status(folder / "bx/a/b/c").permissions(), fs::perms{0640});
  EXPECT_EQ(fs::status(folder / "bx/top").permissions(), fs::perms{0600});
  EXPECT_EQ(fs::status(folder / "bx/a").permissions(), fs::perms{0700});
  std::size_t entries = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "bx")) entries += entry.exists() ? 1U : 0U;
  EXPECT_EQ(entries, 4U);  // nothing unfinished is left
}

TEST_P(JobScript, ReplacesWhatIsThereEvenWithNoclobber) {
  answer.grant.files = {{"f", 0600, "new"}};
  fs::create_directory(folder / "bx");
  std::ofstream(folder / "bx/f") << "old";
  const auto ran = run("set -C\n" + job_script(answer), {"BUILDX_CONFIG=" + (folder / "bx").string()}, "echo on");
  EXPECT_EQ(ran.out, "on\n") << ran.err;
  EXPECT_EQ(content(folder / "bx/f"), "new");
}

TEST_P(JobScript, WithoutAFolderWritesNothingAndWarns) {
  answer.grant.env = {{"BUILDX_BUILDER", "buildwarden-s3"}, {"OTHER", "1"}};
  answer.grant.files = {{"instances/buildwarden-s3", 0600, "{}"}};
  for (const std::vector<std::string>& env : {std::vector<std::string>{}, {"BUILDX_CONFIG=", "DOCKER_CONFIG="}}) {
    const auto ran = run(job_script(answer), env, "echo \"${BUILDX_BUILDER-unset} $OTHER\"");
    EXPECT_EQ(ran.status, 0);
    EXPECT_EQ(ran.out, "unset 1\n");
    EXPECT_THAT(ran.err, HasSubstr("neither BUILDX_CONFIG nor DOCKER_CONFIG is set"));
    EXPECT_TRUE(fs::is_empty(folder / "cwd"));
  }
}

TEST_P(JobScript, AJobGoesOnWhenTheFilesCannotBeWritten) {
  answer.grant.env = {{"BUILDX_BUILDER", "buildwarden-s3"}};
  answer.grant.files = {{"instances/buildwarden-s3", 0600, "{}"}};
  std::ofstream(folder / "file") << "in the way";
  const auto ran =
      run(job_script(answer), {"BUILDX_CONFIG=" + (folder / "file").string()}, "echo \"${BUILDX_BUILDER-unset}\"");
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.out, "unset\n");
  EXPECT_THAT(ran.err, HasSubstr("could not be written"));
}

TEST_P(JobScript, ARefusalPrintsTheReasonAndFails) {
  answer.admitted = false;
  answer.reason = "3.0 GiB free, it's $(too) little\n";
  answer.users = {{"images", "app:1", 2 * kGiB}};
  const auto script = job_script(answer);
  const auto ran = run(script, {"BUILDX_CONFIG=" + (folder / "bx").string()}, "echo not reached");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_EQ(ran.err, "buildwarden: 3.0 GiB free, it's $(too) little\n\n  images app:1: 2.00 GiB\n");
  EXPECT_FALSE(fs::exists(folder / "bx"));
  // A hook that looks at the status itself goes on.
  const auto caught = run("", {}, "if eval \"$(cat \"$1\")\"; then :; fi; false || echo after");
  EXPECT_EQ(caught.out, "after\n");
  std::ofstream(folder / "refusal") << script;
  const auto handled = run("", {"F=" + (folder / "refusal").string()}, "eval \"$(cat \"$F\")\" || echo \"status $?\"");
  EXPECT_EQ(handled.out, "status 1\n");
}

TEST_P(JobScript, ProblemsAreToldAndMayFail) {
  EXPECT_EQ(run(problem_script("it's 'odd'", 0), {}, "echo on").out, "on\n");
  const auto failed = run(problem_script("it's 'odd'", 1), {}, "echo on");
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(failed.err, "buildwarden: it's 'odd'\n");
}

TEST_P(JobScript, NamesThatAreNoneAndPathsThatLeadOutAreLeftOut) {
  answer.grant.env = {{"A-B", "1"}, {"X=$(touch pwned)", "2"}, {"1A", "3"}, {"", "4"}, {"GOOD", "5"}};
  const auto ran = run(job_script(answer), {}, "echo $GOOD");
  EXPECT_EQ(ran.out, "5\n");
  EXPECT_THAT(ran.err, HasSubstr("no variable can be called \"X=$(touch pwned)\""));
  for (const auto* path : {"../x", "/x", "a/../../x", "", "a//b", "."}) {
    answer.grant.files = {{path, 0600, "evil"}};
    EXPECT_EQ(run(job_script(answer), {"BUILDX_CONFIG=" + (folder / "bx").string()}, "").status, 0);
    EXPECT_FALSE(fs::exists(folder / "x")) << path;
    EXPECT_FALSE(fs::exists(folder / "bx")) << path;
  }
}

}  // namespace
}  // namespace buildwarden::api
