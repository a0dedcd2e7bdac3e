// What is packed comes out of it as it was; what an archive may not do it does not do.
#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/seeds/archive_fixture.h"

namespace buildwarden::seeds {
namespace {

namespace fs = std::filesystem;

class Archive : public ArchiveFixture {};

// Everything that a builder's volume may have, compared by the tools that everybody has.
TEST_F(Archive, BringsBackAllThatAVolumeHas) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto made = testing::run_shell(format(R"sh(set -e
    cd '{}'; mkdir -p a/b/c empty 'odd name'; chmod 0711 a; chmod 0000 empty; chown 12:34 a/b
    head -c 3000000 /dev/urandom > a/big; echo one > a/b/file; ln a/b/file a/b/c/second; ln a/b/file third
    ln -s ../../outside/file a/link; ln -s /etc/passwd absolute; ln -s nowhere dangling
    mknod a/whiteout c 0 0; mkfifo a/pipe; chmod 0666 a/pipe; chmod 4755 a/b/file; chown 1000:1001 a/big; : > a/none
    truncate -s 50M sparse; printf hello | dd of=sparse bs=1 seek=30000000 conv=notrunc status=none; truncate -s 1M hole
    printf x > "$(printf 'odd name/\377\001bytes')"
    touch -d '2001-02-03 04:05:06.123456789' a/b a/big)sh",
                                              path("from")));
  ASSERT_EQ(made.exit_code, 0) << made.out;
  const auto set = [&](const char* name, const char* attribute, const std::string& value) {
    ASSERT_EQ(::setxattr(path(name).c_str(), attribute, value.data(), value.size(), 0), 0) << attribute;
  };
  const std::string zeros("a\0b", 3);
  set("from/a", "trusted.overlay.opaque", "y");
  set("from/a/big", "user.note", zeros);

  const auto packed = pack_all();
  ASSERT_TRUE(packed) << packed.error().message();
  const auto done = unpack_all(*packed);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_LT(packed->bytes, 4 * kMiB) << "holes are no content";

  const auto listing = [&](const std::string& name) {
    return testing::run_shell("cd '" + path(name) +
                              "' && find . -printf '%P %y %m %U %G %s %T@ %l %n\\n' | sed -E 's/(^[^ ]* d .* )[0-9]+ "
                              "([0-9.]+ +[0-9]+)$/\\1\\2/' | LC_ALL=C sort && "
                              "find . -type f -exec sha256sum {} + | LC_ALL=C sort")
        .out;
  };
  EXPECT_EQ(listing("from"), listing("to"));
  EXPECT_EQ(testing::run_shell("cd '" + path("to") + "' && du -k sparse hole | cut -f1 | paste -sd' '").out, "4 0\n");
  EXPECT_EQ(testing::run_shell("stat -c '%t %T' '" + path("to/a/whiteout") + "'").out, "0 0\n");
  EXPECT_TRUE(fs::equivalent(path("to/third"), path("to/a/b/c/second")));
  std::array<char, 16> value{};
  EXPECT_EQ(::getxattr(path("to/a").c_str(), "trusted.overlay.opaque", value.data(), value.size()), 1);
  EXPECT_EQ(::getxattr(path("to/a/big").c_str(), "user.note", value.data(), value.size()), 3);
  EXPECT_EQ(std::string(value.data(), 3), zeros);
}

TEST_F(Archive, ASeedOfAnEmptyVolumeIsOne) {
  const auto packed = pack_all();
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->entries, 1);
  EXPECT_TRUE(unpack_all(*packed));
}

TEST_F(Archive, MoreThanMayBeIsNotPacked) {
  std::ofstream(path("from/file")) << std::string(10'000, 'x');
  const auto packed = pack_all(9'999);
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code(), Errc::kTooLarge);
}

TEST_F(Archive, MoreEntriesThanMayBeAreNotPacked) {
  for (const auto* name : {"a", "b", "c"}) std::ofstream(path(format("from/{}", name))) << name;
  PackOptions options;
  options.most = kGiB;
  options.most_entries = 3;
  const auto packed = pack_with(options);
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code(), Errc::kTooLarge) << packed.error().message();
  options.most_entries = 4;
  EXPECT_TRUE(pack_with(options));
}

TEST_F(Archive, AFileThatIsAllHolesTakesNoForever) {
  std::ofstream(path("from/huge")) << "x";
  fs::resize_file(path("from/huge"), static_cast<std::uintmax_t>(kLargestFile) + 1);
  const auto packed = pack_all();
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code(), Errc::kTooLarge);
  EXPECT_NE(packed.error().message().find("huge has 1.00 TiB"), std::string::npos) << packed.error().message();
}

TEST_F(Archive, AHoleIsNotPackedLongerThanASaveMayTake) {
  std::ofstream(path("from/hole")) << "";
  fs::resize_file(path("from/hole"), 50'000'000);
  const auto packed = pack_all(kGiB, std::chrono::steady_clock::now());
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code(), Errc::kTimeout) << packed.error().message();
}

TEST_F(Archive, ADeviceNodeIsNotPacked) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::mknod(path("from/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  const auto packed = pack_all();
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code(), Errc::kInvalid);
}

TEST_F(Archive, NamesThatLeadOutAreRefused) {
  for (const std::string& name :
       std::vector<std::string>{"../outside/file", "a/../../outside/new", "/etc/new", "a//b", "./a", "a/./b"}) {
    const auto folders = [](HostileArchive& first) { first.add("a", AE_IFDIR); };
    fs::remove_all(path("to"));
    fs::create_directory(path("to"));
    expect_refused(unpack_hostile(folders, [&](auto& files) { files.add(name, AE_IFREG, {}, "evil"); }), "refused");
    fs::remove_all(path("to"));
    fs::create_directory(path("to"));
    expect_refused(unpack_hostile([&](auto& first) { first.add("a", AE_IFDIR).add(name, AE_IFDIR); }, {}), "");
  }
}

TEST_F(Archive, NothingIsWrittenThroughALink) {
  const auto link_to = [&](const std::string& target) {
    return [=](archive_entry* entry) { archive_entry_set_symlink(entry, target.c_str()); };
  };
  expect_refused(
      unpack_hostile({},
                     [&](auto& files) {
                       files.add("door", AE_IFLNK, link_to(path("outside"))).add("door/new", AE_IFREG, {}, "evil");
                     }),
      "as a folder");
  fs::remove_all(path("to"));
  fs::create_directory(path("to"));
  // The same name as a link and then as a file: the file would be written where the link leads.
  const auto twice = unpack_hostile({}, [&](auto& files) {
    files.add("twice", AE_IFLNK, link_to(path("outside/file"))).add("twice", AE_IFREG, {}, "evil");
  });
  EXPECT_FALSE(twice);
  expect_outside_untouched();
}

TEST_F(Archive, HardLinksStayInside) {
  for (const auto& target : {path("outside/file"), std::string("../outside/file"), std::string("door/file")}) {
    fs::remove_all(path("to"));
    fs::create_directory(path("to"));
    const auto done = unpack_hostile({}, [&](auto& files) {
      files
          .add("door", AE_IFLNK,
               [&](archive_entry* entry) { archive_entry_set_symlink(entry, path("outside").c_str()); })
          .add("mine", AE_IFREG, [&](archive_entry* entry) { archive_entry_set_hardlink(entry, target.c_str()); });
    });
    EXPECT_FALSE(done) << target;
    expect_outside_untouched();
  }
}

TEST_F(Archive, DeviceNodesButWhiteoutsAreRefused) {
  for (const auto type : {AE_IFCHR, AE_IFBLK}) {
    fs::remove_all(path("to"));
    fs::create_directory(path("to"));
    expect_refused(unpack_hostile({},
                                  [&](auto& files) {
                                    files.add("sda", type, [](archive_entry* entry) {
                                      archive_entry_set_rdev(entry, makedev(8, 0));
                                    });
                                  }),
                   "refused");
  }
}

TEST_F(Archive, AttributesOfTheHostAreRefused) {
  const auto add = [](archive_entry* entry) { archive_entry_xattr_add_entry(entry, "system.nfs4_acl", "x", 1); };
  expect_refused(unpack_hostile({}, [&](auto& files) { files.add("file", AE_IFREG, add, "x"); }), "attribute");
}

TEST_F(Archive, AFolderAmongTheFilesIsRefused) {
  expect_refused(unpack_hostile({}, [](auto& files) { files.add("late", AE_IFDIR); }), "refused");
  fs::remove_all(path("to"));
  fs::create_directory(path("to"));
  expect_refused(unpack_hostile([](auto& first) { first.add("early", AE_IFREG, {}, "x"); }, {}), "folders alone");
}

TEST_F(Archive, ABombIsBounded) {
  const std::string zeros(64 * 1024, '\0');
  expect_refused(unpack_hostile({}, [&](auto& files) { files.add("bomb", AE_IFREG, {}, zeros); }, {64 * 1024 - 1, 10}),
                 "more than");
  fs::remove_all(path("to"));
  fs::create_directory(path("to"));
  expect_refused(unpack_hostile({},
                                [&](auto& files) {
                                  for (int at = 0; at < 20; ++at) files.add(format("file{}", at), AE_IFREG);
                                },
                                {kGiB, 10}),
                 "more than");
}

TEST_F(Archive, LessThanTheManifestSaysIsNoSeed) {
  std::ofstream(path("from/file")) << "content";
  auto packed = pack_all();
  ASSERT_TRUE(packed);
  ++packed->entries;
  const auto done = unpack_all(*packed);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::kProtocol);
}

// Lengths of a truncated part, and bytes of it changed: an error, or another checksum.
TEST_F(Archive, DamageIsSeen) {
  constexpr std::size_t kStep = 5;
  std::ofstream(path("from/file")) << std::string(3'000, 'x') << "y";
  const auto packed = pack_all();
  ASSERT_TRUE(packed);
  std::size_t with_file = 1;
  while (fs::file_size(part(with_file)) < 100 && with_file + 1 < kParts) ++with_file;
  const auto whole = testing::read_text(part(with_file));
  const auto judge = [&](const std::string& bytes) {
    std::ofstream(path("damaged"), std::ios::trunc) << bytes;
    fs::remove_all(path("to"));
    fs::create_directory(path("to"));
    const auto to = open_folder(path("to"));
    Unpacker unpacker(to.get(), {packed->bytes, packed->entries});
    const UniqueFd file(::open(path("damaged").c_str(), O_RDONLY | O_CLOEXEC));
    const auto read = unpacker.files(file.get());
    EXPECT_FALSE(read && read->sha256 == packed->parts[with_file].sha256);
  };
  for (std::size_t size = 0; size < whole.size(); size += kStep) judge(whole.substr(0, size));
  for (std::size_t at = 0; at < whole.size(); at += kStep) {
    auto changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x21);
    judge(changed);
  }
  judge(whole + "more");
}

}  // namespace
}  // namespace buildwarden::seeds
