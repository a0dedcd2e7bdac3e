// What takes memory or room without being content is bounded.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/seeds/archive_fixture.h"

namespace buildwarden::seeds {
namespace {

class ArchiveBounds : public ArchiveFixture {};

// 10,000 regions are kept; behind them a hole is content.
TEST_F(ArchiveBounds, AFileOfManyHolesTakesNoMoreMemory) {
  constexpr int kPieces = 10'050;
  constexpr off_t kStride = 8'192;
  const auto file = create_file(path("from/holes"));
  const std::string page(4'096, 'x');
  for (int at = 0; at < kPieces; ++at) {
    ASSERT_EQ(::pwrite(file.get(), page.data(), page.size(), at * kStride), 4'096);
  }
  struct stat info{};
  ASSERT_EQ(::fstat(file.get(), &info), 0);
  if (info.st_blocks * 512 > info.st_size * 3 / 4) GTEST_SKIP() << "no holes on this filesystem";
  const auto packed = pack_all();
  ASSERT_TRUE(packed) << packed.error().message();
  EXPECT_GT(packed->bytes, kPieces * 4'096) << "the last holes are content";
  EXPECT_LT(packed->bytes, (kPieces + 100) * 4'096) << "the others are none";
  const auto done = unpack_all(*packed);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(testing::run_shell(format("cmp '{}' '{}'", path("from/holes"), path("to/holes"))).exit_code, 0);
}

TEST_F(ArchiveBounds, NamesThatAreKeptAreBoundedOnBothSides) {
  std::ofstream(path("from/first-name")) << "x";
  std::filesystem::create_hard_link(path("from/first-name"), path("from/second"));
  PackOptions options;
  options.most = kGiB;
  options.most_names = 5;
  const auto packed = pack_with(options);
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code(), Errc::kTooLarge) << packed.error().message();
  options.most_names = 10;
  EXPECT_TRUE(pack_with(options));

  const auto folders = [](HostileArchive& first) { first.add("long-name", AE_IFDIR).add("long-name/two", AE_IFDIR); };
  expect_refused(unpack_hostile(folders, {}, {kGiB, 1'000, 20}), "longer names");
}

TEST_F(ArchiveBounds, AttributesOfNoUseAreABombToo) {
  const std::string value(3'000, 'x');
  const auto files = [&](HostileArchive& second) {
    for (int at = 0; at < 430; ++at) {
      second.add(format("file{}", at), AE_IFREG, [&](archive_entry* entry) {
        archive_entry_xattr_add_entry(entry, "user.note", value.data(), value.size());
      });
    }
  };
  expect_refused(unpack_hostile({}, files, {kGiB, 500}), "more attributes");
}

TEST_F(ArchiveBounds, APartIsReadNoFurtherThanItsLength) {
  std::ofstream(path("from/file")) << "content";
  const auto packed = pack_all();
  ASSERT_TRUE(packed);
  std::ofstream(part(0), std::ios::app) << std::string(1'000'000, 'x');
  const auto to = open_folder(path("to"));
  Unpacker unpacker(to.get(), {packed->bytes, packed->entries});
  const UniqueFd file(::open(part(0).c_str(), O_RDONLY | O_CLOEXEC));
  const auto read = unpacker.folders(file.get(), packed->parts[0].bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), Errc::kProtocol) << read.error().message();
  EXPECT_LT(::lseek(file.get(), 0, SEEK_CUR), 1'000'000) << "the rest is not even read";
}

}  // namespace
}  // namespace buildwarden::seeds
