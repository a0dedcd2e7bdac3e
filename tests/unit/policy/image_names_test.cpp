#include "daemon/policy/image_names.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace buildwarden::policy {
namespace {

constexpr const char* kDigest = "sha256:74e70ba337674bc65f53eb8aea26f28812ec48c997683d3690a0913ba26a2c39";
constexpr const char* kId = "sha256:8b9fe6824b3dfc1cce741bd3c51fe4245cf50059c32c86631a0f23f7f0af049e";

TEST(References, AreComparedAsTheEngineMeansThem) {
  EXPECT_EQ(normalised_reference("docker.io/library/alpine"), "alpine:latest");
  EXPECT_EQ(normalised_reference("index.docker.io/library/alpine:3"), "alpine:3");
  EXPECT_EQ(normalised_reference("host:5000/a"), "host:5000/a:latest");
  EXPECT_EQ(normalised_reference("host:5000/a:1"), "host:5000/a:1");
  EXPECT_EQ(normalised_reference("a@sha256:0"), "a@sha256:0");
  EXPECT_EQ(normalised_reference("docker.io/library/a:1@sha256:0"), "a@sha256:0");
  EXPECT_EQ(normalised_reference("host:5000/a:1@sha256:0"), "host:5000/a@sha256:0");
  EXPECT_EQ(normalised_reference("host:5000/a@sha256:0"), "host:5000/a@sha256:0");
  EXPECT_EQ(normalised_reference("sha256:0"), "sha256:0");
}

TEST(IdStart, IsOfHexadecimalDigits) {
  EXPECT_EQ(id_start("8b9f"), "sha256:8b9f");
  EXPECT_EQ(id_start("8"), "sha256:8");
  EXPECT_EQ(id_start("sha256:8b9f"), "sha256:8b9f");
  EXPECT_EQ(id_start(kId), kId);
  for (const std::string name : {"", "sha256:", "web", "8B9F", "8b9f:1", "a@sha256:0"}) {
    EXPECT_EQ(id_start(name), std::nullopt) << name;
  }
  EXPECT_EQ(id_start(std::string(65, 'a')), std::nullopt);
}

TEST(Glob, MatchesTheWholeText) {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  const Case cases[] = {
      {"", "", true},           {"", "a", false},           {"*", "", true},
      {"*", "a/b:c", true},     {"a", "a", true},           {"a", "ab", false},
      {"a*", "a", true},        {"a*c", "abbc", true},      {"a*c", "abcb", false},
      {"?", "", false},         {"?", "a", true},           {"a?c", "abc", true},
      {"*a*b", "xaxaxb", true}, {"**", "", true},           {"a**", "ab", true},
      {"*.b", "a.c.b", true},   {"[a]", "a", false},        {"[a]", "[a]", true},
      {"A", "a", false},        {"*:latest", "x:1", false}, {"base/*:?", "base/go/x:1", true},
  };
  for (const auto& c : cases) EXPECT_EQ(glob_matches(c.pattern, c.text), c.matches) << c.pattern << " on " << c.text;
}

TEST(Glob, ManyStarsDoNotExplode) {
  const std::string text(2000, 'a');
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(glob_matches(pattern + "b", text));
}

struct KeepCase {
  const char* pattern;
  std::vector<std::string> names;
  bool keeps;
};

TEST(KeepPatterns, AreTakenAsDockerTakesNames) {
  const std::string by_digest = std::string("r:5000/team/tool@") + kDigest;
  const std::string with_tag = std::string("r:5000/team/tool:1@") + kDigest;
  const std::vector<KeepCase> cases = {
      {"idle:1", {"idle:1"}, true},
      {"docker.io/library/idle:1", {"idle:1"}, true},
      {"docker.io/idle:1", {"idle:1"}, true},
      {"index.docker.io/library/idle:1", {"idle:1"}, true},
      {"index.docker.io/idle:1", {"idle:1"}, true},
      {"library/idle:1", {"idle:1"}, true},
      {"docker.io/library/idle:2", {"idle:1"}, false},
      {"docker.io/team/idle:1", {"idle:1"}, false},
      {"docker.io/team/idle", {"team/idle:1"}, true},
      {"ghcr.io/library/idle:1", {"idle:1"}, false},
      {"docker.io/*", {"ghcr.io/team/idle:1"}, false},
      {"docker.io/*", {"idle:1"}, true},
      {"docker.io/*", {"team/idle:1"}, true},
      {"docker.io/library/*", {"idle:1"}, true},
      {"docker.io/library/*", {"team/idle:1"}, false},
      {"idle", {"idle:1"}, true},
      {"idle", {"idle:latest"}, true},
      {"idle:latest", {"idle:1"}, false},
      {"docker.io/library/idle", {"idle:1"}, true},
      {"idle", {"team/idle:1"}, false},
      {"idle", {"idles:1"}, false},
      {"r:5000/team/tool", {"r:5000/team/tool:1"}, true},
      {"r:5000/team/tool", {"s:5000/team/tool:1"}, false},
      {"r:5000/team/tool*", {by_digest}, true},
      {"r:5000/team/tool", {by_digest}, true},
      {by_digest.c_str(), {by_digest}, true},
      {with_tag.c_str(), {by_digest}, true},
      {with_tag.c_str(), {"r:5000/team/tool:1"}, false},
      {"*/tool@sha256:74e70*", {by_digest}, true},
      {"8b9f", {}, true},
      {"8b9fe6824b3d", {}, true},
      {"sha256:8b9fe6824b3d", {}, true},
      {"sha256:8b9f*", {}, true},
      {kId, {}, true},
      {"8b9", {}, false},
      {"8b9e", {}, false},
      {"*", {"idle:1"}, true},
      {"*", {}, false},
  };
  for (const auto& [pattern, names, keeps] : cases) {
    const auto match = KeepPatterns({pattern}).match(names, kId);
    EXPECT_EQ(match.has_value(), keeps) << pattern << " on " << (names.empty() ? kId : names[0]);
    if (match) EXPECT_EQ(match->pattern, pattern);
  }
}

// A builder's container has an id of digits alone, which no pattern of an image means.
TEST(KeepPatterns, TakeIdsOfImagesAlone) {
  EXPECT_FALSE(KeepPatterns({"8b9fe6"}).match({"buildx_buildkit_mine0"}, "8b9fe6824b3dfc1c"));
  EXPECT_TRUE(KeepPatterns({"buildx_buildkit_mine*"}).match({"buildx_buildkit_mine0"}, "8b9fe6824b3dfc1c"));
  EXPECT_FALSE(KeepPatterns({}).match({"idle:1"}, kId));
}

}  // namespace
}  // namespace buildwarden::policy
