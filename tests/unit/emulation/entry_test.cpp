#include "daemon/emulation/entry.h"

#include <gtest/gtest.h>

#include <string>

namespace buildwarden::emulation {
namespace {

// Captured from Debian's qemu-user-static.
constexpr const char* kAarch64 =
    "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\n"
    "magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

TEST(BinfmtEntry, IsReadFromWhatTheKernelShows) {
  const auto entry = parse_entry("qemu-aarch64", kAarch64);
  ASSERT_TRUE(entry) << entry.error().message();
  EXPECT_TRUE(entry->enabled);
  EXPECT_EQ(entry->interpreter, "/usr/libexec/qemu-binfmt/aarch64-binfmt-P");
  EXPECT_EQ(entry->flags, "POCF");
  EXPECT_EQ(entry->offset, 0);
  EXPECT_EQ(entry->magic, std::string("\x7f\x45\x4c\x46\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0", 20));
  EXPECT_EQ(entry->mask.size(), 20U);
  EXPECT_EQ(entry->mask[7], '\0');
}

TEST(BinfmtEntry, OfOtherToolsAreReadToo) {
  const auto python =
      parse_entry("python3.11", "disabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n");
  ASSERT_TRUE(python) << python.error().message();
  EXPECT_FALSE(python->enabled);
  EXPECT_EQ(python->flags, "");
  EXPECT_EQ(python->mask, "\xff\xff\xff\xff");
  const auto jar = parse_entry("jar", "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n");
  ASSERT_TRUE(jar) << jar.error().message();
  EXPECT_EQ(jar->magic, "");
}

TEST(BinfmtEntry, ThatIsMalformedIsAnError) {
  const std::string good = kAarch64;
  for (const std::string& text :
       {std::string(), std::string("enabled"), std::string("enabled\n"), good.substr(8),
        std::string("enabled\ninterpreter relative\nflags: F\noffset 0\nmagic 7f\n"),
        std::string("enabled\ninterpreter /q\nflags: F\noffset 0\nmagic 7f4\n"),
        std::string("enabled\ninterpreter /q\nflags: F\noffset 0\nmagic zz\n"),
        std::string("enabled\ninterpreter /q\nflags: F\noffset 0\nmagic 7f45\nmask ff\n"),
        std::string("enabled\ninterpreter /q\nflags: F\noffset -1\nmagic 7f\n"),
        std::string("enabled\ninterpreter /q\nflags: F\noffset 99999999999\nmagic 7f\n"),
        std::string("enabled\ninterpreter /q\nflags: f!\noffset 0\nmagic 7f\n"),
        std::string("enabled\ninterpreter /q\nflags: F\noffset 0\n"),
        std::string("enabled\ninterpreter /q\nflags: F\nextension .x\noffset 0\nmagic 7f\n"), std::string(5000, 'e')}) {
    const auto entry = parse_entry("x", text);
    ASSERT_FALSE(entry) << text;
    EXPECT_EQ(entry.error().code(), Errc::kProtocol);
  }
}

TEST(BinfmtEntry, ThatIsCutAnywhereNeverPassesForAWholeOne) {
  const std::string good = kAarch64;
  const auto whole = *parse_entry("x", good);
  for (std::size_t size = 0; size + 1 < good.size(); ++size) {
    const auto cut = parse_entry("x", good.substr(0, size));
    EXPECT_TRUE(!cut || *cut != whole) << size;
  }
}

TEST(BinfmtEntry, LinesOfLaterKernelsArePassedOver) {
  EXPECT_TRUE(parse_entry("x", std::string(kAarch64) + "namespace 4026531837\n"));
}

}  // namespace
}  // namespace buildwarden::emulation
