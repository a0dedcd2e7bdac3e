#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/format.h"
#include "daemon/engine/decode.h"

namespace buildwarden::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

struct Shape {
  std::string status = "exited";
  std::string started = "2024-05-01T10:00:01.5Z";
  std::string finished = "2024-05-01T11:00:00.25Z";
  std::string policy = "no";
  int exit_code = 0;
};

Result<ports::ContainerDetails> details_of(const Shape& shape) {
  return decode_details(format(
      R"({{"Id":"c1","Created":"2024-05-01T10:00:00.123456789Z","State":{{"Status":"{}","StartedAt":"{}",
          "FinishedAt":"{}","ExitCode":{}}},"HostConfig":{{"RestartPolicy":{{"Name":"{}","MaximumRetryCount":0}}}}}})",
      shape.status, shape.started, shape.finished, shape.exit_code, shape.policy));
}

std::string active(const Shape& shape) {
  const auto details = details_of(shape);
  EXPECT_TRUE(details) << details.error().message();
  return details ? format_rfc3339(details->last_active) : "";
}

TEST(DecodeDetails, TheLatestOfItsTimesCounts) {
  EXPECT_EQ(active({}), "2024-05-01T11:00:00.250Z");
  constexpr const char* kZero = "0001-01-01T00:00:00Z";
  EXPECT_EQ(active({.status = "created", .started = kZero, .finished = kZero}), "2024-05-01T10:00:00.123Z");
  EXPECT_EQ(active({.started = "", .finished = ""}), "2024-05-01T10:00:00.123Z");
  EXPECT_EQ(active({.started = "2024-05-02T10:00:00Z"}), "2024-05-02T10:00:00.000Z") << "started again, and died";
  EXPECT_EQ(details_of({})->size, 0);
}

TEST(DecodeDetails, HowManyCommandsRunInIt) {
  const auto commands = [](const char* ids) {
    const auto details = decode_details(
        format(R"({{"Id":"c1","Created":"2024-05-01T10:00:00Z","State":{{"Status":"running"}},"ExecIDs":{},
                    "HostConfig":{{"RestartPolicy":{{"Name":"no"}}}}}})",
               ids));
    return details ? details->commands : -1;
  };
  EXPECT_EQ(commands("null"), 0);
  EXPECT_EQ(commands(R"(["e1","e2"])"), 2);
  EXPECT_EQ(commands(R"([1])"), -1);
}

TEST(DecodeDetails, WhetherItComesBack) {
  const auto comes_back = [](const char* policy, int exit_code) {
    return details_of({.policy = policy, .exit_code = exit_code})->comes_back;
  };
  EXPECT_FALSE(comes_back("no", 1));
  EXPECT_FALSE(comes_back("", 1));
  EXPECT_TRUE(comes_back("always", 0));
  EXPECT_TRUE(comes_back("unless-stopped", 0));
  EXPECT_FALSE(comes_back("on-failure", 0));
  EXPECT_TRUE(comes_back("on-failure", 137));
  EXPECT_TRUE(comes_back("something-new", 0));
}

TEST(DecodeDetails, WhatIsNotUnderstoodIsAnError) {
  EXPECT_FALSE(details_of({.status = "sleeping"}));
  EXPECT_FALSE(details_of({.finished = "yesterday"}));
  EXPECT_FALSE(decode_details(R"({"Id":"c1","Created":"2024-05-01T10:00:00Z","State":{"Status":"exited"}})"))
      << "without a restart policy nobody knows whether it comes back";
  EXPECT_FALSE(decode_details("[]"));
}

TEST(DecodeNetworks, TheEnginesOwnAreMarked) {
  const auto network = [](const char* name, const char* more) {
    return format(R"({{"Name":"{}","Id":"id","Created":"2024-05-01T10:00:00.1Z"{}}})", name, more);
  };
  constexpr const char* kPlain = R"(,"Scope":"local","Ingress":false,"ConfigOnly":false,"Labels":null)";
  const auto list = format(
      "[{},{},{},{},{}]", network("ci", kPlain), network("bridge", kPlain),
      network("mesh", R"(,"Scope":"swarm","Ingress":false,"ConfigOnly":false)"),
      network("template", R"(,"Scope":"local","Ingress":false,"ConfigOnly":true)"),
      network("shop_default",
              R"(,"Scope":"local","Ingress":false,"ConfigOnly":false,"Labels":{"com.docker.compose.project":"shop"})"));
  const auto networks = decode_networks(list);
  ASSERT_TRUE(networks) << networks.error().message();
  ASSERT_EQ(networks->size(), 5U);
  EXPECT_FALSE(networks->at(0).made_by_engine);
  EXPECT_EQ(format_rfc3339(networks->at(0).created), "2024-05-01T10:00:00.100Z");
  for (const int at : {1, 2, 3}) EXPECT_TRUE(networks->at(static_cast<std::size_t>(at)).made_by_engine) << at;
  EXPECT_EQ(networks->at(4).labels.at("com.docker.compose.project"), "shop");
  const auto half = decode_networks(R"([{"Name":"ci","Id":"id"}])");
  ASSERT_FALSE(half);
  EXPECT_THAT(half.error().message(), HasSubstr("the list of networks"));
}

TEST(DecodeVolumes, PlainOnesAreToldFromOthers) {
  const auto volumes = decode_volumes(R"({"Volumes":[
    {"Name":"buildx_buildkit_a0_state","Driver":"local","CreatedAt":"2024-05-01T12:00:00+02:00","Labels":null,
     "Mountpoint":"/m","Options":null,"Scope":"local"},
    {"Name":"b","Driver":"local","CreatedAt":"2024-05-01T12:00:00Z","Labels":{"who":"me"},"Options":{"type":"nfs"}},
    {"Name":"c","Driver":"rexray","Options":{}}],"Warnings":null})");
  ASSERT_TRUE(volumes) << volumes.error().message();
  EXPECT_EQ(volumes->at(0).name, "buildx_buildkit_a0_state");
  EXPECT_TRUE(volumes->at(0).is_plain);
  EXPECT_EQ(format_rfc3339(volumes->at(0).created.value()), "2024-05-01T10:00:00.000Z");
  EXPECT_FALSE(volumes->at(1).is_plain);
  EXPECT_EQ(volumes->at(1).labels.at("who"), "me");
  EXPECT_FALSE(volumes->at(2).is_plain);
  EXPECT_FALSE(volumes->at(2).created);
  EXPECT_TRUE(decode_volumes(R"({"Volumes":null})")->empty());
  for (const char* text : {"[]", "{}", R"({"Volumes":[{"Driver":"local"}]})", R"({"Volumes":{}})", ""}) {
    EXPECT_FALSE(decode_volumes(text)) << text;
  }
}

TEST(DecodeContainers, TellTheirVolumesByName) {
  const auto containers = decode_containers(R"([
    {"Id":"c1","Names":["/a"],"Image":"i","ImageID":"s","Created":1,"State":"exited","Mounts":[
      {"Type":"volume","Name":"v1","Source":"/x"},{"Type":"bind","Source":"/y"},{"Type":"volume","Name":"v2"}]}])");
  ASSERT_TRUE(containers) << containers.error().message();
  EXPECT_THAT(containers->at(0).volumes, UnorderedElementsAre("v1", "v2"));
}

TEST(DecodeContainers, TellTheirNetworks) {
  const auto containers = decode_containers(R"([
    {"Id":"c1","Names":["/a"],"Image":"i","ImageID":"s","Created":1,"State":"exited","HostConfig":{"NetworkMode":"ci"},
     "NetworkSettings":{"Networks":{"ci":{"NetworkID":"n1"},"other":{"NetworkID":""}}}},
    {"Id":"c2","Names":["/b"],"Image":"i","ImageID":"s","Created":1,"State":"exited","HostConfig":{"NetworkMode":"n2"},
     "NetworkSettings":{"Networks":null}}])");
  ASSERT_TRUE(containers) << containers.error().message();
  EXPECT_THAT(containers->at(0).networks, UnorderedElementsAre("ci", "n1", "other"));
  EXPECT_THAT(containers->at(1).networks, UnorderedElementsAre("n2"));
}

}  // namespace
}  // namespace buildwarden::engine
