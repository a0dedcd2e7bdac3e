// The command that fetches an image into a builder, run in a shell with a buildctl that only tells what it was given.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "daemon/builders/buildctl.h"
#include "daemon/builders/builder_images.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::builders {
namespace {

using ::testing::ElementsAre;

class FetchCommandTest : public ::testing::Test {
 protected:
  // What it writes with `buildctl` for the program of that name, its exit code, and how many files are left.
  std::string run(const std::string& reference, const std::string& buildctl) {
    const auto command = fetch_command(reference);
    EXPECT_TRUE(command);
    if (!command) return "";
    std::filesystem::create_directories(in("bin"));
    std::filesystem::create_directories(in("tmp"));
    std::ofstream(in("bin/buildctl")) << "#!/bin/sh\n" << buildctl;
    std::filesystem::permissions(in("bin/buildctl"), std::filesystem::perms::owner_all);
    std::ofstream(in("script")) << command->at(2);
    std::ofstream(in("run")) << "cd " << folder_.path() << "; export PATH=$PWD/bin:$PATH TMPDIR=$PWD/tmp\n"
                             << "sh -c \"$(cat script)\" fetch '" << reference << "' 2>&1\n"
                             << "echo \"ended with $?, leaves $(ls tmp | wc -l)\"; cat seen\n";
    std::string out;
    auto* const pipe = ::popen(("sh " + in("run")).c_str(), "r");
    for (int one = std::fgetc(pipe); one != EOF; one = std::fgetc(pipe)) out += static_cast<char>(one);
    ::pclose(pipe);
    return out;
  }
  [[nodiscard]] std::string in(const std::string& name) const { return folder_.path() + "/" + name; }

  testing::TempFolder folder_;
};

TEST_F(FetchCommandTest, ABuildReadsTheImageAndKeepsNothingElse) {
  const auto command = fetch_command("example.com/a:1");
  ASSERT_TRUE(command);
  EXPECT_THAT(*command, ElementsAre("sh", "-c", ::testing::_, "fetch", "example.com/a:1"));
  EXPECT_EQ(run("example.com/a@sha256:00",
                "test \"${5#context=}\" = \"${7#dockerfile=}\"\n"
                "echo \"$? $1 $2 $3 $4 ${5%%=*} $6 ${7%%=*} $8 $9\" > seen; cat \"${5#*=}/Dockerfile\" >> seen\n"),
            "ended with 0, leaves 0\n"
            "0 build --frontend dockerfile.v0 --local context --local dockerfile --progress plain\n"
            "FROM example.com/a@sha256:00 AS image\nFROM scratch\nCOPY --from=image /.buildwarden-no-such-file* /\n");
}

TEST_F(FetchCommandTest, OfAFailureTheLastWordsAreSaid) {
  EXPECT_EQ(run("a:1", "for n in 1 2 3 4 5; do echo line $n >&2; done; touch seen; exit 7"),
            "line 3\nline 4\nline 5\nended with 1, leaves 0\n");
}

TEST_F(FetchCommandTest, WhatIsNoReferenceIsRefused) {
  for (const std::string reference : {"", "a b", "a:1\nRUN rm", "-f", "a\t", "\xc3\xa4"}) {
    EXPECT_EQ(fetch_command(reference).error().code(), Errc::kInvalid) << reference;
  }
}

TEST(BuilderImages, OnlyOfBuildersThatThereAre) {
  boost::asio::io_context loop;
  BuilderImages images([] { return std::vector<BuilderCache*>{}; });
  EXPECT_EQ(testing::run_on(loop, images.fetch("s3", "a:1")).error().code(), Errc::kNotFound);
}

}  // namespace
}  // namespace buildwarden::builders
