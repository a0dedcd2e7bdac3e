#include "daemon/seeds/manifest.h"

#include <gtest/gtest.h>

#include "daemon/seeds/order.h"

namespace buildwarden::seeds {
namespace {

policy::SeedManifest full() {
  policy::SeedManifest manifest;
  manifest.builder = "s3";
  manifest.architecture = "amd64";
  manifest.buildkit = "v0.23.2";
  manifest.snapshotter = "overlayfs";
  manifest.engine = "26.1.5";
  manifest.instance = "i-0123456789abcdef0";
  manifest.created_at = WallTime{Duration{1'790'000'000'123}};
  manifest.parts = {{"a.tar.zst", 12, std::string(64, 'a')}, {"b.tar.zst", kGiB, std::string(64, 'b')}};
  manifest.previous = {"old.tar.zst"};
  manifest.images = {"node@sha256:" + std::string(64, 'c')};
  manifest.unpacked_bytes = 2 * kGiB;
  manifest.entries = 50'000;
  return manifest;
}

TEST(Manifest, IsReadAsItWasWritten) {
  const auto read = decode_manifest(encode_manifest(full()));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->parts, full().parts);
  EXPECT_EQ(read->previous, full().previous);
  EXPECT_EQ(read->images, full().images);
  EXPECT_EQ(read->created_at, full().created_at);
  EXPECT_EQ(read->entries, full().entries);
  EXPECT_EQ(encode_manifest(*read), encode_manifest(full()));
}

TEST(Manifest, OfAnotherFormatIsReadAsFarAsThat) {
  const auto read = decode_manifest(R"({"format": 7, "chunks": []})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->format, 7);
}

TEST(Manifest, WhatIsNoneIsRefused) {
  const auto text = encode_manifest(full());
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(decode_manifest(text.substr(0, size))) << size;
  const auto without = [&](const std::string& part, const std::string& with) {
    auto changed = text;
    const auto at = changed.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return changed.replace(at, part.size(), with);
  };
  EXPECT_FALSE(decode_manifest(without(R"("builder":"s3")", R"("builder":3)")));
  EXPECT_FALSE(decode_manifest(without(R"("bytes":12)", R"("bytes":"12")")));
  EXPECT_FALSE(decode_manifest(without(R"("entries":50000)", R"("entries":5e4)")));
  EXPECT_FALSE(decode_manifest(without("2026-", "20x6-")));
  EXPECT_FALSE(decode_manifest("[]"));
  EXPECT_FALSE(decode_manifest("{}"));
  EXPECT_FALSE(decode_manifest(text + std::string(30'000, ' ')));
}

TEST(Manifest, OfBeforeImagesWereListedHasNone) {
  auto text = encode_manifest(full());
  const auto at = text.find(R"(,"images")");
  ASSERT_NE(at, std::string::npos);
  const auto read = decode_manifest(text.substr(0, at) + "}");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_TRUE(read->images.empty());
}

// The longest that is written can be read, and ordered.
TEST(Manifest, WithTheMostImagesFits) {
  auto manifest = full();
  const std::string digest = "@sha256:" + std::string(64, 'c');
  manifest.images.assign(policy::kMostSeedImages, std::string(policy::kLongestSeedImage - digest.size(), 'n') + digest);
  manifest.parts.assign(policy::kMostSeedParts, manifest.parts[0]);
  manifest.previous.assign(policy::kMostSeedParts, std::string(100, 'p') + ".tar.zst");
  EXPECT_TRUE(decode_manifest(encode_manifest(manifest)));
  Order order;
  order.manifest = manifest;
  EXPECT_LT(static_cast<Bytes>(encode_order(order).size()), kLongestOrder);
}

}  // namespace
}  // namespace buildwarden::seeds
