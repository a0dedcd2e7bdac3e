#include "common/folder_users.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

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

// 30,000 mappings with long paths were more than was read, and nobody's folders were idle for as long as that process
// lived.
TEST(FolderUsers, AProcessMayHaveAsManyMappingsAsItLikes) {
  const testing::TempFolder temp;
  const auto proc = temp.path() + "/proc";
  for (const char* name : {"/self/ns", "/77/fd", "/77/ns"}) fs::create_directories(proc + name);
  for (const char* name : {"/self/mountinfo", "/77/mountinfo"})
    std::ofstream(proc + name) << "1 0 8:1 / / rw - ext4 /dev/sda rw\n";
  for (const char* name : {"/self/ns/mnt", "/77/ns/mnt"}) fs::create_symlink("mnt:[1]", proc + name);
  std::ofstream maps(proc + "/77/maps");
  const std::string deep(3'500, 'd');
  for (int i = 0; i < 20'000; ++i)
    maps << "7f0000000000-7f0000001000 r--s 00000000 08:01 12 /long/" << deep << i << "\n";
  maps << "7f0000000000-7f0000001000 r--s 00000000 08:01 12 /builds/busy/library\n";
  maps.close();
  const auto users = folder_users({"/builds/busy", "/builds/idle"}, proc);
  ASSERT_TRUE(users) << users.error().message();
  ASSERT_EQ(users->size(), 1U);
  EXPECT_TRUE(users->contains("/builds/busy"));
}

}  // namespace
}  // namespace buildwarden
