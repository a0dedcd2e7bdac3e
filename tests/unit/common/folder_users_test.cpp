#include "common/folder_users.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "common/unique_fd.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// What a program goes on using after it has closed it; with a name that /proc writes in another way.
TEST(FolderUsers, AMappedFileIsUseThoughNobodyHasItOpen) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: it looks at every process";
  const testing::TempFolder temp;
  const auto folder = fs::canonical(temp.path()).string();
  fs::create_directories(folder + "/a\nb");
  fs::create_directories(folder + "/idle");
  UniqueFd file(::open((folder + "/a\nb/library").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
  void* mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  file = UniqueFd();
  const auto users = folder_users({folder + "/a\nb", folder + "/idle"});
  EXPECT_EQ(::munmap(mapped, 4096), 0);
  ASSERT_TRUE(users) << users.error().message();
  ASSERT_EQ(users->size(), 1U);
  EXPECT_THAT(users->at(folder + "/a\nb"), HasSubstr("which has a mapped file there"));
}

}  // namespace
}  // namespace buildwarden
