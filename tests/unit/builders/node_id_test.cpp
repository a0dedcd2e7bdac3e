#include "daemon/builders/node_id.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <thread>
#include <vector>

#include "common/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::builders {
namespace {

HostSecret counting() {
  HostSecret secret{};
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::uint8_t>(i);
  return secret;
}

// Computed with Python's hmac over struct.pack(">Q", len(text)) + text, for both texts.
TEST(NodeId, IsAnHmacOfBothTexts) {
  EXPECT_EQ(node_id(counting(), "web", "/builds/a/org/web"), "de6cc824afd46934");
  EXPECT_EQ(node_id(counting(), "", ""), "ff921230177d146e");
  EXPECT_EQ(node_id(counting(), "\xff\n", std::string(300, 'x')), "1dd02354650a9121");
}

TEST(NodeId, TellsApartWhatRunsTogetherWithoutLengths) {
  EXPECT_NE(node_id(counting(), "ab", "c"), node_id(counting(), "a", "bc"));
  EXPECT_NE(node_id(counting(), "a", ""), node_id(counting(), "", "a"));
}

class Secret : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder_.path() + "/state/host_secret"; }
  [[nodiscard]] std::string content() const { return read_file(path()).value_or("none"); }

  testing::TempFolder folder_;
};

TEST_F(Secret, IsMadeOnceForRootAlone) {
  const auto first = host_secret(path());
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_NE(*first, HostSecret{});
  EXPECT_EQ(content(), std::string(first->begin(), first->end()));
  struct stat info{};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  EXPECT_EQ(*host_secret(path()), *first);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/state")) files += entry.exists();
  EXPECT_EQ(files, 1U) << "nothing unfinished is left";
}

TEST_F(Secret, WhatIsNoneMakesWay) {
  const auto first = host_secret(path());
  ASSERT_EQ(::chmod(path().c_str(), 0644), 0);
  const auto second = host_secret(path());
  ASSERT_TRUE(second);
  EXPECT_NE(*second, *first) << "others may have read it";
  ASSERT_TRUE(write_file_atomically(path(), "short", 0600));
  EXPECT_NE(*host_secret(path()), *second);
  EXPECT_EQ(content().size(), 32U);
}

TEST_F(Secret, ALinkOrAFolderInItsPlaceIsAnError) {
  ASSERT_TRUE(make_folders(folder_.path() + "/state"));
  ASSERT_TRUE(write_file_atomically(folder_.path() + "/elsewhere", std::string(32, 'x'), 0600));
  ASSERT_EQ(::symlink("../elsewhere", path().c_str()), 0);
  EXPECT_FALSE(host_secret(path()));
  std::filesystem::remove(path());
  std::filesystem::create_directory(path());
  EXPECT_FALSE(host_secret(path()));
  EXPECT_TRUE(std::filesystem::is_directory(path()));
}

TEST_F(Secret, SeveralAtOnceGetTheSame) {
  std::vector<HostSecret> got(8);
  {
    std::vector<std::jthread> makers;
    for (auto& one : got) makers.emplace_back([&one, this] { one = host_secret(path()).value_or(HostSecret{}); });
  }
  EXPECT_EQ(std::set<HostSecret>(got.begin(), got.end()).size(), 1U);
  EXPECT_NE(got[0], HostSecret{});
}

}  // namespace
}  // namespace buildwarden::builders
