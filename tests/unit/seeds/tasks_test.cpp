// A volume saved into a folder and restored from it, by the functions of the seeds' own process.
#include "daemon/seeds/tasks.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/clock.h"
#include "common/format.h"
#include "daemon/seeds/manifest.h"
#include "tests/support/command.h"
#include "tests/support/saved_seed.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::seeds {
namespace {

namespace fs = std::filesystem;

class Tasks : public ::testing::Test {
 protected:
  Tasks() {
    for (const auto* name : {"store", "a/_data/cache", "b/_data"}) fs::create_directories(path(name));
    std::ofstream(path("a/_data/cache/layer")) << std::string(200'000, 'x');
    std::ofstream(path("a/_data/db")) << "records";
    order_.place.location = path("store");
    order_.place.builder = "s3";
    order_.place.architecture = "amd64";
    order_.most = kGiB;
    order_.manifest.builder = "s3";
    order_.manifest.architecture = "amd64";
    order_.manifest.buildkit = "v0.13.0";
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  [[nodiscard]] std::string stored() const { return path("store/s3/amd64/"); }
  [[nodiscard]] std::size_t parts_there() const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(stored())) {
      count += entry.path().filename() == kManifestName ? 0 : 1;
    }
    return count;
  }
  std::unique_ptr<Store> store() {
    auto opened = open_store(order_.place, true);
    EXPECT_TRUE(opened) << opened.error().message();
    return *std::move(opened);
  }
  Result<Answer> save_a() { return testing::save_seed(order_, path("a"), *store()); }
  void save_and_publish() { testing::publish_seed(order_, path("a"), *store()); }
  Result<Answer> restore_b() {
    const auto seen = look(*store());
    EXPECT_TRUE(seen) << seen.error().message();
    auto order = order_;
    order.volume = path("b");
    order.manifest = *seen->manifest;
    return restore(order, *store(), nobody_);
  }
  // Nothing came into the volume, and nothing is left beside it.
  void expect_cold() {
    EXPECT_TRUE(fs::is_empty(path("b/_data")));
    EXPECT_EQ(std::distance(fs::directory_iterator(path("b")), fs::directory_iterator()), 1);
  }
  [[nodiscard]] std::string some_part() const {
    std::string largest;
    for (const auto& entry : fs::directory_iterator(stored())) {
      const bool part = entry.path().filename() != kManifestName;
      if (part && (largest.empty() || entry.file_size() > fs::file_size(largest))) largest = entry.path();
    }
    return largest;
  }

  testing::TempFolder folder_;
  Order order_;
  Told nobody_ = [](const Advance&) {};
};

TEST_F(Tasks, WhatOneInstanceSavesAnotherRestores) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  const auto restored = restore_b();
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(testing::run_shell(format("diff -r '{}' '{}'", path("a/_data"), path("b/_data"))).exit_code, 0);
  EXPECT_EQ(restored->entries, 4);
}

TEST_F(Tasks, WithoutAManifestThereIsNoSeed) {
  ASSERT_TRUE(save_a());
  EXPECT_GT(parts_there(), 0U);
  const auto seen = look(*store());
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().code(), Errc::kNotFound);
}

TEST_F(Tasks, AVolumeWithContentStaysAsItIs) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  std::ofstream(path("b/_data/mine")) << "mine";
  const auto restored = restore_b();
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code(), Errc::kConflict);
  EXPECT_EQ(testing::read_text(path("b/_data/mine")), "mine");
}

TEST_F(Tasks, ADamagedOrMissingPartLeavesNothing) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  const auto whole = testing::read_text(some_part());
  const auto part = some_part();
  for (const auto& bytes : {whole.substr(0, whole.size() / 2), whole + "x", std::string()}) {
    std::ofstream(part, std::ios::trunc) << bytes;
    const auto restored = restore_b();
    ASSERT_FALSE(restored) << bytes.size();
    EXPECT_EQ(restored.error().code(), Errc::kProtocol) << restored.error().message();
    expect_cold();
  }
  fs::remove(part);
  const auto restored = restore_b();
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code(), Errc::kNotFound);
  expect_cold();
}

// Whole archives, but not those of the manifest: their checksums alone tell.
TEST_F(Tasks, PartsThatWereExchangedLeaveNothing) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  const auto seen = look(*store());
  ASSERT_TRUE(seen);
  const auto& parts = seen->manifest->parts;
  fs::rename(stored() + parts[1].name, stored() + "aside");
  fs::rename(stored() + parts[2].name, stored() + parts[1].name);
  fs::rename(stored() + "aside", stored() + parts[2].name);
  const auto restored = restore_b();
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code(), Errc::kProtocol);
  expect_cold();
}

TEST_F(Tasks, AnArchiveThatIsLargerThanItsManifestLeavesNothing) {
  const auto saved = save_a();
  ASSERT_TRUE(saved);
  auto order = order_;
  order.manifest = *saved->manifest;
  order.manifest.unpacked_bytes -= 1;
  ASSERT_TRUE(publish(order, *store()));
  ASSERT_FALSE(restore_b());
  expect_cold();
}

TEST_F(Tasks, WhatAKilledRestoreLeftIsRemoved) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  fs::create_directories(path("b") + "/" + kStaging + "/half/of/it");
  auto order = order_;
  order.volume = path("b");
  ASSERT_TRUE(clean(order));
  expect_cold();
  fs::create_directories(path("b") + "/" + kStaging + "/half/of/it");
  ASSERT_TRUE(restore_b());
  EXPECT_FALSE(fs::exists(path("b") + "/" + kStaging));
  EXPECT_FALSE(fs::exists(path("b/_data/half")));
}

TEST_F(Tasks, AVolumeThatIsTooLargeIsNotSaved) {
  order_.most = 1'000;
  const auto saved = save_a();
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code(), Errc::kTooLarge);
}

// The seed before the last may be read by somebody yet; what is older, and was never published, goes after a day.
TEST_F(Tasks, OldPartsAreRemovedLater) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  EXPECT_EQ(parts_there(), 15U) << "all of today";
  std::ofstream(stored() + "20200101T000000Z-0123456789abcdef-0.tar.zst") << "old";
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  EXPECT_EQ(parts_there(), 20U);
  const auto seen = look(*store());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->manifest->previous.size(), 5U);
}

// However old their names look.
TEST_F(Tasks, ArchivesOfOthersStay) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  const std::vector<std::string> names = {"20200101T000000Z-0123456789abcdef-0.tar.zst.bak",
                                          "20200101T000000Z-0123456789abcdef-10.tar.zst",
                                          "20200101T000000Z-0123456789abcdeF-0.tar.zst",
                                          "20200101T00000AZ-0123456789abcdef-0.tar.zst",
                                          "20200101T000000Z_0123456789abcdef-0.tar.zst",
                                          "2020-database.tar.zst",
                                          "1.tar.zst",
                                          ".tar.zst"};
  for (const auto& name : names) std::ofstream(stored() + name) << "theirs";
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  ASSERT_TRUE(discard(order_, *store()));
  for (const auto& name : names) EXPECT_TRUE(fs::exists(stored() + name)) << name;
}

TEST_F(Tasks, WhatWasGivenUpIsRemoved) {
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  ASSERT_TRUE(save_a());
  EXPECT_EQ(parts_there(), 10U);
  ASSERT_TRUE(discard(order_, *store()));
  EXPECT_EQ(parts_there(), 5U);
  EXPECT_TRUE(restore_b());
  order_.stem.clear();
  ASSERT_TRUE(discard(order_, *store()));
  EXPECT_EQ(parts_there(), 5U);
}

TEST_F(Tasks, ALocationThatIsNotMountedIsNotMade) {
  order_.place.location = path("nothing/here");
  const auto opened = open_store(order_.place, true);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Errc::kNotFound);
  EXPECT_FALSE(fs::exists(path("nothing")));
}

// A look has no right to write there. Were that an error, no first seed would ever be saved.
TEST_F(Tasks, ALookIntoANewLocationMakesNothingAndFindsNoSeed) {
  ASSERT_EQ(::chmod(path("store").c_str(), 0500), 0);
  const auto opened = open_store(order_.place, false);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Errc::kNotFound) << opened.error().message();
  EXPECT_TRUE(fs::is_empty(path("store")));
  ASSERT_EQ(::chmod(path("store").c_str(), 0700), 0);
  ASSERT_NO_FATAL_FAILURE(save_and_publish());
  const auto again = open_store(order_.place, false);
  ASSERT_TRUE(again);
  EXPECT_TRUE(look(**again));
}

TEST_F(Tasks, AnOrderIsReadAsItWasWritten) {
  order_.task = Task::kRestore;
  order_.volume = "/var/lib/docker/volumes/buildwarden_s3";
  const auto saved = save_a();
  ASSERT_TRUE(saved);
  order_.manifest = *saved->manifest;
  for (const auto& part : order_.manifest.parts) order_.manifest.previous.push_back(part.name);
  const auto text = encode_order(order_);
  EXPECT_LE(text.size(), 4'096U) << "a pipe holds no more";
  const auto read = decode_order(text);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(encode_order(*read), text);
  EXPECT_FALSE(decode_order("{}"));
}

TEST_F(Tasks, AnAnswerAndAnErrorComeThrough) {
  Answer answer;
  answer.bytes = 12;
  const auto read = decode_answer(encode_advance({3, 12}) + encode_answer(answer) + "\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->bytes, 12);
  const auto failed = decode_answer(encode_answer(Error(Errc::kDenied, "no")) + "\n");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), Errc::kDenied);
  EXPECT_EQ(decode_answer("progress 1 2\n").error().code(), Errc::kProtocol);
  const auto advance = last_advance("progress 1 9\nprogress 4 9\nprog");
  ASSERT_TRUE(advance);
  EXPECT_EQ(advance->done, 4);
  EXPECT_FALSE(last_advance("x"));
}

}  // namespace
}  // namespace buildwarden::seeds
