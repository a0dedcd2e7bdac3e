#include "daemon/engine/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "daemon/engine/output.h"
#include "tests/unit/engine/frames.h"

namespace buildwarden::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// As the engine 26.1 (API 1.45) answers.
constexpr const char* kImages = R"([
 {"Containers":-1,"Created":1723456789,"Id":"sha256:1111","Labels":{"a":"b"},"ParentId":"","RepoDigests":null,
  "RepoTags":["alpine:3.19","alpine:latest"],"SharedSize":-1,"Size":7700000},
 {"Containers":-1,"Created":0,"Id":"sha256:2222","Labels":null,"ParentId":"sha256:1111",
  "RepoDigests":["alpine@sha256:dddd"],"RepoTags":[],"SharedSize":-1,"Size":0}])";
// As 20.10 (1.41) shows an image without a tag.
constexpr const char* kOldImages = R"([{"Containers":-1,"Created":1,"Id":"sha256:3333","Labels":null,"ParentId":"",
  "RepoDigests":["<none>@<none>"],"RepoTags":["<none>:<none>"],"SharedSize":-1,"Size":5,"VirtualSize":5}])";
// As 29 (1.52, containerd image store) answers.
constexpr const char* kNewImages = R"([{"Containers":2,"Created":1723456789,"Descriptor":{"mediaType":"x","size":1},
  "Id":"sha256:4444","Labels":null,"ParentId":"","RepoDigests":["a@sha256:4444"],"RepoTags":["a:1"],"SharedSize":-1,
  "Size":42}])";

// As 28.5 with the containerd image store (1.51) shows one that was pulled by digest and then tagged.
constexpr const char* kImageByDigest = R"([{"Containers":0,"Created":1796075433,"Id":"sha256:5ae7","Labels":null,
  "ParentId":"","RepoDigests":["other@sha256:5ae7"],"RepoTags":["r:5991/team/tool@sha256:5ae7","other:1"],
  "SharedSize":-1,"Size":3067239}])";

constexpr const char* kContainers = R"([
 {"Id":"c1","Names":["/web/alias","/web"],"Image":"alpine:3.19","ImageID":"sha256:1111","Command":"sh","Created":1723456789,
  "Ports":[],"Labels":{"com.buildwarden.owner":"buildwarden"},"State":"running","Status":"Up 2 hours","Mounts":[]},
 {"Id":"c2","Names":["/old"],"Image":"sha256:9","ImageID":"sha256:9","Created":1,"Labels":null,"State":"removing"}])";

constexpr const char* kContainer = R"({"Id":"abc","Image":"sha256:1111","Name":"/buildwarden_s3",
 "State":{"Status":"paused","Running":true,"Paused":true,"ExitCode":0},
 "Config":{"Image":"moby/buildkit","Labels":{"com.buildwarden.owner":"buildwarden","com.buildwarden.spec":"12ab"}}})";

// API 1.41, with Parent; 1.45, with " Parents"; 1.52 and verbose.
constexpr const char* kOldCache = R"({"LayersSize":1,"Images":[],"Containers":[],"Volumes":[],"BuildCache":[
 {"ID":"r1","Parent":"","Type":"regular","Description":"x","InUse":true,"Shared":false,"Size":100,
  "CreatedAt":"2024-05-01T10:00:00.123456789Z","LastUsedAt":null,"UsageCount":1}],"BuilderSize":0})";
constexpr const char* kCache = R"({"LayersSize":0,"Images":null,"Containers":null,"Volumes":null,"BuildCache":[
 {"ID":"r1"," Parents":["r0"],"Type":"regular","Description":"x","InUse":false,"Shared":true,"Size":100,
  "CreatedAt":"2024-05-01T10:00:00Z","LastUsedAt":"2024-05-01T12:00:00+01:00","UsageCount":3},
 {"ID":"r0","Type":"regular","Description":"y","InUse":false,"Shared":false,"Size":7,
  "CreatedAt":"2024-05-01T10:00:00Z","LastUsedAt":"0001-01-01T00:00:00Z","UsageCount":0}]})";
constexpr const char* kNewCache =
    R"({"BuildCacheUsage":{"ActiveCount":0,"TotalCount":1,"TotalSize":100,"Reclaimable":100,
 "Items":[{"ID":"n1","Type":"regular","Description":"x","InUse":false,"Shared":false,"Size":100,
  "CreatedAt":"2024-05-01T10:00:00Z","LastUsedAt":"2024-05-01T11:00:00Z","UsageCount":1}]}})";

// Found by the fuzzer: what has no name could be deleted by none, and everybody's by an empty one.
TEST(DecodeImages, WhatHasNoNameIsRefused) {
  const auto images = decode_images(R"([{"Id":"","RepoTags":["ap:1"],"Created":1,"Size":1}])");
  ASSERT_FALSE(images);
  EXPECT_EQ(images.error().code(), Errc::kProtocol);
  EXPECT_NE(images.error().message().find("an empty Id"), std::string::npos) << images.error().message();
}

TEST(DecodeImages, ReadsEveryVersion) {
  const auto images = decode_images(kImages);
  ASSERT_TRUE(images) << images.error().message();
  ASSERT_EQ(images->size(), 2U);
  EXPECT_EQ((*images)[0].id, "sha256:1111");
  EXPECT_THAT((*images)[0].tags, ElementsAre("alpine:3.19", "alpine:latest"));
  EXPECT_EQ((*images)[0].size, 7'700'000);
  EXPECT_EQ(format_rfc3339((*images)[0].created), "2024-08-12T09:59:49.000Z");
  EXPECT_THAT((*images)[1].tags, IsEmpty());
  EXPECT_THAT(decode_images(kOldImages)->at(0).tags, IsEmpty());
  EXPECT_THAT(decode_images(kNewImages)->at(0).tags, ElementsAre("a:1"));
  EXPECT_THAT(*decode_images("[]"), IsEmpty());
}

// Found by the fuzz target: an empty name made an image of no name no dangling one.
TEST(DecodeImages, AnEmptyNameIsNone) {
  const auto image =
      decode_images(R"([{"Id":"sha256:1","RepoTags":["",""],"RepoDigests":[""],"Created":1,"Size":1}])")->at(0);
  EXPECT_THAT(image.names(), IsEmpty());
  EXPECT_TRUE(image.is_dangling());
}

TEST(DecodeImages, ANameByDigestIsNoTagWhereverItStands) {
  const auto pulled = decode_images(kImages)->at(1);
  EXPECT_THAT(pulled.digests, ElementsAre("alpine@sha256:dddd"));
  EXPECT_FALSE(pulled.is_dangling());
  EXPECT_TRUE(decode_images(kOldImages)->at(0).is_dangling());
  const auto both = decode_images(kImageByDigest)->at(0);
  EXPECT_THAT(both.tags, ElementsAre("other:1"));
  EXPECT_THAT(both.digests, ElementsAre("other@sha256:5ae7", "r:5991/team/tool@sha256:5ae7"));
  EXPECT_THAT(both.names(), ElementsAre("other:1", "other@sha256:5ae7", "r:5991/team/tool@sha256:5ae7"));
}

TEST(DecodeLayers, ReadsThemFromTheLowestUp) {
  const auto layers = decode_layers(R"({"Id":"sha256:1","RootFS":{"Type":"layers","Layers":["sha256:a","sha256:b"]}})");
  ASSERT_TRUE(layers) << layers.error().message();
  EXPECT_THAT(*layers, ElementsAre(policy::layer_number("sha256:a"), policy::layer_number("sha256:b")));
  EXPECT_THAT(*decode_layers(R"({"Id":"sha256:1","RootFS":{"Type":"layers"}})"), IsEmpty()) << "FROM scratch alone";
  EXPECT_EQ(decode_layers(R"({"RootFS":{"Layers":[1]}})").error().code(), Errc::kProtocol);
  EXPECT_EQ(decode_layers("[]").error().code(), Errc::kProtocol);
}

// As 28.5 answers.
TEST(DecodeContainers, TellsWhichImagesAreMounted) {
  constexpr const char* kMounts = R"("Mounts":[{"Type":"image","Name":"team/tool:1","Source":"/d/overlay2/1",
    "Destination":"/x","Mode":"","RW":false,"Propagation":"rprivate"},{"Type":"volume","Name":"data"}])";
  const auto listed = decode_containers(R"([{"Id":"c","Names":["/c"],"Image":"a","ImageID":"sha256:1","Created":1,)" +
                                        std::string(R"("State":"created",)") + kMounts + "}]");
  ASSERT_TRUE(listed) << listed.error().message();
  EXPECT_THAT(listed->at(0).mounted_images, ElementsAre("team/tool:1"));
  EXPECT_THAT(listed->at(0).volumes, ElementsAre("data"));
  EXPECT_THAT(*decode_mounted_images(std::string("{") + kMounts + "}"), ElementsAre("team/tool:1"));
  EXPECT_THAT(*decode_mounted_images("{}"), IsEmpty());
  EXPECT_FALSE(decode_mounted_images("[]"));
}

TEST(DecodeContainers, ReadsTheList) {
  const auto containers = decode_containers(kContainers);
  ASSERT_TRUE(containers) << containers.error().message();
  ASSERT_EQ(containers->size(), 2U);
  EXPECT_EQ((*containers)[0].name, "web");
  EXPECT_EQ((*containers)[0].image, "alpine:3.19");
  EXPECT_EQ((*containers)[0].image_id, "sha256:1111");
  EXPECT_EQ((*containers)[0].state, policy::ContainerState::kRunning);
  EXPECT_EQ((*containers)[0].labels.at("com.buildwarden.owner"), "buildwarden");
  EXPECT_EQ((*containers)[1].state, policy::ContainerState::kDead);
}

TEST(DecodeContainer, ReadsStateAndLabels) {
  const auto container = decode_container(kContainer);
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->id, "abc");
  EXPECT_EQ(container->image_id, "sha256:1111");
  EXPECT_EQ(container->state, policy::ContainerState::kPaused);
  EXPECT_TRUE(container->ours);
  EXPECT_EQ(container->spec_digest, "12ab");
}

TEST(DecodeContainer, TellsOfItsLife) {
  const auto container =
      decode_container(R"({"Id":"x","Image":"i","RestartCount":7,"State":{"Status":"restarting","Pid":0,"ExitCode":3,)"
                       R"("FinishedAt":"2026-01-01T00:00:00.5Z"},"Config":{"Labels":{"com.buildwarden.volume":"2"}}})");
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->restarts, 7);
  EXPECT_EQ(container->exit_code, 3);
  EXPECT_EQ(container->ended, "2026-01-01T00:00:00.5Z");
  EXPECT_EQ(container->volume, 2);
  for (const std::string odd : {"", "0", "-1", "2x", "99999999999"}) {
    const auto label = R"({"Labels":{"com.buildwarden.volume":")" + odd + R"("}})";
    const auto other =
        decode_container(R"({"Id":"x","Image":"i","State":{"Status":"running","Pid":4711},"Config":)" + label + "}");
    ASSERT_TRUE(other) << odd;
    EXPECT_EQ(other->volume, 0) << odd;
    EXPECT_EQ(other->pid, 4711);
  }
}

TEST(DecodeContainer, SomebodyElsesIsNotOurs) {
  const auto container = decode_container(
      R"({"Id":"x","Image":"i","State":{"Status":"exited"},"Config":{"Labels":{"com.buildwarden.owner":"me"}}})");
  ASSERT_TRUE(container);
  EXPECT_FALSE(container->ours);
  EXPECT_EQ(container->spec_digest, "");
}

TEST(DecodeContainer, EveryState) {
  using State = policy::ContainerState;
  const std::pair<const char*, State> states[] = {{"created", State::kCreated}, {"running", State::kRunning},
                                                  {"paused", State::kPaused},   {"restarting", State::kRestarting},
                                                  {"exited", State::kExited},   {"removing", State::kDead},
                                                  {"dead", State::kDead}};
  for (const auto& [text, state] : states) {
    const auto json =
        std::string(R"({"Id":"x","Image":"i","State":{"Status":")") + text + R"("},"Config":{"Labels":null}})";
    ASSERT_TRUE(decode_container(json)) << text;
    EXPECT_EQ(decode_container(json)->state, state) << text;
  }
}

TEST(DecodeCache, ReadsEveryVersion) {
  const auto old = decode_cache(kOldCache);
  ASSERT_TRUE(old) << old.error().message();
  EXPECT_TRUE(old->at(0).in_use);
  EXPECT_EQ(format_rfc3339(old->at(0).last_used), "2024-05-01T10:00:00.123Z") << "never used: counts from creation";
  const auto cache = decode_cache(kCache);
  ASSERT_TRUE(cache) << cache.error().message();
  ASSERT_EQ(cache->size(), 2U);
  EXPECT_EQ(cache->at(0).size, 100);
  EXPECT_TRUE(cache->at(0).shared);
  EXPECT_EQ(format_rfc3339(cache->at(0).last_used), "2024-05-01T11:00:00.000Z");
  EXPECT_EQ(format_rfc3339(cache->at(1).last_used), "2024-05-01T10:00:00.000Z") << "Go's zero time is never";
  const auto newest = decode_cache(kNewCache);
  ASSERT_TRUE(newest) << newest.error().message();
  EXPECT_EQ(newest->at(0).id, "n1");
}

TEST(DecodeCache, NothingCachedIsAnEmptyList) {
  for (const auto* text : {R"({"BuildCache":null})", R"({"BuildCache":[]})", R"({"BuildCacheUsage":{}})",
                           R"({"BuildCacheUsage":{"TotalSize":0,"Items":[]}})"}) {
    const auto records = decode_cache(text);
    ASSERT_TRUE(records) << text << ": " << records.error().message();
    EXPECT_THAT(*records, IsEmpty()) << text;
  }
}

TEST(DecodeCache, PrefersTheListThatIsThere) {
  const auto records = decode_cache(R"({"BuildCacheUsage":{"TotalSize":9},"BuildCache":[{"ID":"l","InUse":false,
    "Shared":false,"Size":9,"CreatedAt":"2024-05-01T10:00:00Z"}]})");
  ASSERT_TRUE(records) << records.error().message();
  EXPECT_EQ(records->at(0).id, "l");
}

TEST(DecodeCache, BytesWithoutRecordsAreNotAnEmptyCache) {
  EXPECT_EQ(decode_cache(R"({"BuildCacheUsage":{"TotalSize":9}})").error().code(), Errc::kProtocol);
  EXPECT_EQ(decode_cache(R"({"LayersSize":0})").error().code(), Errc::kProtocol);
}

TEST(DecodeIdentity, KnowsWhichEngineItIs) {
  const auto identity = decode_identity(R"({"ID":"7f-id","DockerRootDir":"/var/lib/docker","ServerVersion":"26.1.5",
    "SecurityOptions":["name=seccomp,profile=builtin","name=userns"],"Images":3})");
  ASSERT_TRUE(identity) << identity.error().message();
  EXPECT_EQ(identity->id, "7f-id");
  EXPECT_EQ(identity->root_dir, "/var/lib/docker");
  EXPECT_EQ(identity->version, "26.1.5");
  EXPECT_TRUE(identity->userns_remap);
  EXPECT_FALSE(
      decode_identity(R"({"ID":"a","DockerRootDir":"/d","ServerVersion":"1","SecurityOptions":null})")->userns_remap);
  EXPECT_EQ(decode_identity(R"({"ID":"","DockerRootDir":"/d","ServerVersion":"1"})").error().code(), Errc::kProtocol);
  EXPECT_EQ(identity->snapshotter, "");
}

// As 28.5 tells it with and without containerd's image store, and 26.1 (1.45) with it.
TEST(Decode, WhereTheEnginesImagesLie) {
  const auto of = [](const std::string& more) {
    const auto text = R"({"ID":"a","DockerRootDir":"/d","ServerVersion":"1",)" + more + "}";
    const auto identity = decode_identity(text);
    return identity ? identity->snapshotter + " " + identity->containerd : identity.error().message();
  };
  EXPECT_EQ(of(R"("Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],)"
               R"("Containerd":{"Address":"/run/containerd/containerd.sock","Namespaces":{"Containers":"moby"}})"),
            "overlayfs /run/containerd/containerd.sock");
  EXPECT_EQ(of(R"("Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"],["Supports d_type","true"]],)"
               R"("Containerd":{"Address":"unix:///run/c.sock"})"),
            " /run/c.sock");
  EXPECT_EQ(of(R"("Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]])"),
            "overlayfs ");
  EXPECT_EQ(of(R"("Driver":"zfs","DriverStatus":null)"), " ");
}

TEST(DecodeEvent, ReadsActorAndExactTime) {
  const auto event = decode_event(R"({"status":"die","id":"c1","from":"alpine","Type":"container","Action":"die",
    "Actor":{"ID":"c1","Attributes":{"exitCode":"137","name":"web"}},"scope":"local","time":1723456789,
    "timeNano":1723456789123456789})");
  ASSERT_TRUE(event) << event.error().message();
  EXPECT_EQ(event->event.type, "container");
  EXPECT_EQ(event->event.action, "die");
  EXPECT_EQ(event->event.id, "c1");
  EXPECT_EQ(event->event.attributes.at("name"), "web");
  EXPECT_EQ(event->nanos, 1'723'456'789'123'456'789);
  EXPECT_EQ(format_rfc3339(event->event.at), "2024-08-12T09:59:49.123Z");
}

TEST(DecodeEvent, ReadsThe152ShapeAndTextSequences) {
  const auto event = decode_event(
      "\x1e"
      R"({"Type":"builder","Action":"prune","Actor":{"ID":"","Attributes":{"reclaimed":"12"}},"timeNano":5})");
  ASSERT_TRUE(event) << event.error().message();
  EXPECT_EQ(event->event.attributes.at("reclaimed"), "12");
}

TEST(DecodeProgress, TellsErrorsFromProgress) {
  EXPECT_TRUE(decode_progress(R"({"status":"Pulling fs layer","progressDetail":{},"id":"a"})"));
  const auto failed = decode_progress(R"({"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"})");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Errc::kUnavailable);
  EXPECT_EQ(failed.error().message(), "manifest unknown");
  EXPECT_EQ(decode_progress("oops").error().code(), Errc::kProtocol);
}

TEST(DecodeMessage, GivesTheEnginesWords) {
  EXPECT_EQ(decode_message("{\"message\":\"No such image: x\"}\n"), "No such image: x");
  EXPECT_EQ(decode_message("404 page not found\n"), "404 page not found");
  EXPECT_EQ(decode_message(""), "without a message");
  EXPECT_EQ(decode_message(std::string(10'000, 'x')).size(), 400U);
}

TEST(DecodeSmall, IdsPrunesAndCommands) {
  EXPECT_EQ(*decode_id(R"({"Id":"abc","Warnings":[]})"), "abc");
  EXPECT_EQ(decode_pruned(R"({"CachesDeleted":null,"SpaceReclaimed":123})")->bytes, 123);
  EXPECT_EQ(decode_pruned(R"({"CachesDeleted":["a","b"],"SpaceReclaimed":1})")->ids,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(decode_exec(R"({"Running":false,"ExitCode":3})")->exit_code, 3);
  EXPECT_TRUE(decode_exec(R"({"Running":true,"ExitCode":null})")->running);
  EXPECT_EQ(decode_exec(R"({"Running":false,"ExitCode":null})").error().code(), Errc::kProtocol);
  EXPECT_EQ(decode_id(R"({"Id":""})").error().code(), Errc::kProtocol);
}

struct Malformed {
  const char* text;
  const char* why;
};

TEST(DecodeMalformed, OneBadRecordSpoilsTheList) {
  const Malformed images[] = {
      {"", "not JSON"},
      {"{}", "not a list"},
      {"[", "not JSON"},
      {"[1]", "record 1: an image is not an object"},
      {R"([{"Size":1,"Created":1}])", "an image has no Id"},
      {R"([{"Id":7,"Size":1,"Created":1}])", "an image has a Id that is not a text"},
      {R"([{"Id":"a","Created":1}])", "an image has no Size"},
      {R"([{"Id":"a","Size":"1","Created":1}])", "an image has a Size that is not a whole number"},
      {R"([{"Id":"a","Size":1.5,"Created":1}])", "an image has a Size that is not a whole number"},
      {R"([{"Id":"a","Size":1,"Created":9e18}])", "an image has a Created that is no time"},
      {R"([{"Id":"a","Size":1,"Created":1,"RepoTags":"x"}])", "an image has RepoTags that are not a list"},
      {R"([{"Id":"a","Size":1,"Created":1,"RepoTags":[1]}])", "an image has RepoTags that are not texts"},
      {R"([{"Id":"a","Size":1,"Created":1},{}])", "record 2: an image has no Id"},
  };
  for (const auto& [text, why] : images) {
    const auto decoded = decode_images(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code(), Errc::kProtocol) << text;
    EXPECT_THAT(decoded.error().message(), HasSubstr(why)) << text;
  }
}

TEST(DecodeMalformed, EveryDecoderRefusesWhatItDoesNotKnow) {
  for (const auto* text :
       {"", "null", "[]", "7", "{}", "\"x\"", "{\"State\":[]}", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}) {
    EXPECT_FALSE(decode_container(text)) << text;
    EXPECT_FALSE(decode_cache(text)) << text;
    EXPECT_FALSE(decode_identity(text)) << text;
    EXPECT_FALSE(decode_event(text)) << text;
    EXPECT_FALSE(decode_exec(text)) << text;
    EXPECT_FALSE(decode_pruned(text)) << text;
    EXPECT_FALSE(decode_id(text)) << text;
  }
  EXPECT_FALSE(
      decode_containers(R"([{"Id":"c","Names":[],"Image":"a","ImageID":"b","Created":1,"State":"on holiday"}])"));
}

TEST(DecodeOutput, TakesTheStreamsApart) {
  const auto output =
      decode_output(frame(1, "out\n") + frame(2, "err\n") + frame(1, "") + frame(1, std::string(300, 'x')), 1000);
  ASSERT_TRUE(output) << output.error().message();
  EXPECT_EQ(output->out, "out\n" + std::string(300, 'x'));
  EXPECT_EQ(output->err, "err\n");
  EXPECT_FALSE(output->cut);
  EXPECT_EQ(decode_output("", 10)->out, "");
}

TEST(DecodeOutput, IsCutAtTheLimit) {
  EXPECT_FALSE(decode_output(frame(1, "12345") + frame(1, "6") + frame(2, "123456"), 6)->cut);
  const auto output = decode_output(frame(1, "12345") + frame(1, "678") + frame(2, "123456"), 6);
  EXPECT_EQ(output->out, "123456");
  EXPECT_EQ(output->err, "123456");
  EXPECT_TRUE(output->cut);
}

TEST(DecodeOutput, RefusesWhatIsNotFrames) {
  EXPECT_FALSE(decode_output("plain text that has no frames", 100));
  EXPECT_FALSE(decode_output(frame(1, "x").substr(0, 5), 100));
  EXPECT_FALSE(decode_output(frame(1, "cut off").substr(0, 12), 100));
  EXPECT_FALSE(decode_output(frame(9, "x"), 100));
}

}  // namespace
}  // namespace buildwarden::engine
