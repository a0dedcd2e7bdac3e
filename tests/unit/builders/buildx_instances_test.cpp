#include "daemon/builders/buildx_instances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::builders {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// As buildx 0.29 writes it.
constexpr const char* kInstance =
    R"({"Name":"mine","Driver":"docker-container","Nodes":[{"Name":"mine0","Endpoint":"unix:///var/run/docker.sock",
        "Platforms":null,"DriverOpts":null,"Flags":["--allow-insecure-entitlement=network.host"],"Files":null},
       {"Name":"second","Endpoint":"x"}],"Dynamic":false})";

TEST(ContainersOfInstance, AreNamedAfterItsNodes) {
  EXPECT_THAT(containers_of_instance(kInstance), ElementsAre("buildx_buildkit_mine0", "buildx_buildkit_second"));
  EXPECT_THAT(containers_of_instance(R"({"Name":"s3","Driver":"remote","Nodes":[{"Name":"s30"}]})"), IsEmpty());
  for (const char* text : {"", "[", "null", "[]", R"({"Driver":"docker-container"})",
                           R"({"Driver":"docker-container","Nodes":[1,{"Name":2},{"Name":""}]})"}) {
    EXPECT_THAT(containers_of_instance(text), IsEmpty()) << text;
  }
}

class BuildxInstancesTest : public ::testing::Test {
 protected:
  std::string home(const std::string& name) { return folder_.path() + "/" + name; }
  std::string instances(const std::string& name) {
    auto path = home(name) + "/.docker/buildx/instances";
    std::filesystem::create_directories(path);
    return path;
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  Result<std::map<std::string, std::string>> owners() {
    BuildxInstances people(workers_, [this] { return homes_; });
    return testing::run_on(loop_, people.owners());
  }
  testing::TempFolder folder_;
  boost::asio::io_context loop_;
  WorkerPool workers_{1};
  std::vector<std::string> homes_;
};

TEST_F(BuildxInstancesTest, WhatAPersonsInstanceNamesIsThePersons) {
  write(instances("ann") + "/mine", kInstance);
  homes_ = {home("ann"), home("nobody"), "/nonexistent"};
  const auto found = owners();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(*found, ElementsAre(Pair("buildx_buildkit_mine0", "instance mine of " + home("ann")),
                                  Pair("buildx_buildkit_second", "instance mine of " + home("ann"))));
}

TEST_F(BuildxInstancesTest, WhatIsNoInstanceNamesNoneAndHoldsNobodyUp) {
  const auto path = instances("ann");
  write(path + "/broken", "{");
  write(path + "/large", std::string(200'000, ' ') + kInstance);
  std::filesystem::create_directory(path + "/folder");
  std::filesystem::create_symlink("/dev/zero", path + "/link");
  ASSERT_EQ(::mkfifo((path + "/pipe").c_str(), 0600), 0);
  homes_ = {home("ann")};
  const auto found = owners();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(*found, IsEmpty());
}

TEST_F(BuildxInstancesTest, AFolderThatIsALinkIsNotFollowedAndMakesAllUnknown) {
  std::filesystem::create_directories(home("ann"));
  std::filesystem::create_directory_symlink("/tmp", home("ann") + "/.docker");
  homes_ = {home("ann")};
  EXPECT_EQ(owners().error().code(), Errc::kIo);
}

TEST_F(BuildxInstancesTest, TheAgentsHomeIsNoPersons) {
  write(home("passwd"),
        "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n"
        "buildkite-agent:x:2000:2000::/var/lib/buildkite-agent:/bin/bash\n");
  EXPECT_THAT(homes_of_people(home("passwd"), "buildkite-agent"), ElementsAre("/home/ann", "/root"));
  EXPECT_THAT(homes_of_people(home("passwd"), "2000"), ElementsAre("/home/ann", "/root"));
  EXPECT_THAT(homes_of_people(home("absent"), "2000"), IsEmpty());
}

}  // namespace
}  // namespace buildwarden::builders
