#include "daemon/cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/cli/command_line.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Kind = cli::CompletedValue::Kind;

class Completion : public ::testing::Test {
 protected:
  [[nodiscard]] cli::CompletedCommand command(const std::string& path) const {
    const auto all = cli::commands_of(line_.app());
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.path == path; });
    return found == all.end() ? cli::CompletedCommand{.path = "none", .subcommands = {}, .options = {}, .value = {}}
                              : *found;
  }
  [[nodiscard]] static cli::CompletedOption option(const cli::CompletedCommand& command, const std::string& name) {
    for (const auto& one : command.options) {
      if (std::find(one.names.begin(), one.names.end(), name) != one.names.end()) return one;
    }
    return {};
  }
  static cli::Context without_environment() {
    cli::Context context;
    context.env = [](const std::string&) { return std::string(); };
    return context;
  }
  cli::Context context_ = without_environment();
  cli::ServeFunction serve_ = [](const cli::ServeOptions&) { return 0; };
  cli::CommandLine line_{context_, serve_};
};

TEST_F(Completion, KnowsWhatTheParserKnows) {
  const auto start = command("job start");
  EXPECT_EQ(option(start, "--use").value.kind, Kind::kBuilder);
  EXPECT_EQ(option(start, "--checkout").value.kind, Kind::kFile);
  EXPECT_TRUE(option(start, "--need").takes_value);
  EXPECT_FALSE(option(start, "--hook").takes_value);
  EXPECT_EQ(option(start, "--socket").value.kind, Kind::kFile) << "an option of the program stands behind each command";
  const auto events = command("events");
  EXPECT_THAT(option(events, "--severity").value.words, ElementsAre("info", "warning", "error"));
  EXPECT_THAT(option(events, "--limit").names, ElementsAre("--limit", "-n"));
  EXPECT_THAT(command("completion").value.words, ElementsAre("bash", "zsh", "fish"));
  EXPECT_EQ(command("builders show").value.kind, Kind::kBuilder);
  EXPECT_THAT(command("disk").subcommands, ::testing::Contains(::testing::Pair("ensure", Not(IsEmpty()))));
  EXPECT_EQ(command("").path, "");
}

TEST(CompletionCommand, PrintsTheScriptOfAShell) {
  ClientWorld world;
  EXPECT_THAT(world.run({"completion", "bash"}).out, HasSubstr("complete -F _buildwarden buildwarden"));
  EXPECT_THAT(world.run({"completion", "zsh"}).out, ::testing::StartsWith("#compdef buildwarden\n"));
  EXPECT_THAT(world.run({"completion", "fish"}).out, HasSubstr("__buildwarden_at disk reclaim"));
  const auto other = world.run({"completion", "ksh"});
  EXPECT_EQ(other.code, cli::kUsage);
  EXPECT_THAT(other.err, AllOf(HasSubstr("ksh"), HasSubstr("bash,zsh,fish")));
  EXPECT_EQ(world.run({"completion"}).code, cli::kUsage);
}

}  // namespace
}  // namespace buildwarden::testing
